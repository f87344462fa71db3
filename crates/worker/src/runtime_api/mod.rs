//! Programs that stay: a program is started once, and asks for one item after the other over HTTP, as
//! [AWS Lambda's Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) says.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `resident` | the program of a slot: when it is started, and started again |
//! | `instance`, `ending` | one start of it, and its end |
//! | `server`, `requests` | its endpoint's HTTP side: connections, and the answers to requests |
//! | `endpoint` | which items are offered to it, and which it works on |
//! | `invocation`, `items_as`, `environment` | what it is given |
//! | `reported`, `log` | what it says |

mod ending;
mod endpoint;
mod environment;
#[cfg(test)]
mod fuzz;
mod instance;
mod invocation;
mod items_as;
mod log;
mod reported;
mod requests;
mod resident;
mod server;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use crate::attempts::{Shared, said};
use crate::group::Urgency;
use crate::hearing::{Hearing, OutputPlan};
use crate::notice::{WorkerNotice, WorkerObserver};
use crate::output::OutputStream;
use crate::plan::WorkerPlan;
use crate::program::{End, Ran};
use instance::Offering;
use invocation::{Invocation, Told, client_context, function_arn};
use resident::Resident;
use workqueue_core::queue::Delivery;

pub use items_as::ItemsAs;

/// How programs that stay get their items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimePlan {
    /// How items become events; `None` for JSON as it is, and other text as a string.
    pub items_as: Option<ItemsAs>,
    /// Items that one program works on at a time; at least 1. The worker runs as many programs as its
    /// concurrency needs.
    pub concurrency: usize,
}

/// The programs of a worker.
pub(crate) struct Residents {
    plan: RuntimePlan,
    all: Vec<Arc<Resident>>,
    /// One for each item that no program works on.
    seats: Mutex<Vec<Arc<Resident>>>,
}

impl Residents {
    /// Those that a plan asks for, if it does. None is started yet.
    pub(crate) fn new(plan: &WorkerPlan) -> Option<Self> {
        let runtime = plan.runtime?;
        let programs = plan.concurrency.div_ceil(runtime.concurrency);
        let all: Vec<_> = (0..programs).map(|_| Arc::new(Resident::new(runtime.concurrency))).collect();
        let seats = all.iter().flat_map(|resident| vec![resident.clone(); runtime.concurrency]).collect();
        Some(Self { plan: runtime, all, seats: Mutex::new(seats) })
    }

    /// Waits until all of them have ended.
    pub(crate) async fn ended(&self) {
        for resident in &self.all {
            resident.ended().await;
        }
    }

    /// Makes the n-th attempt at an item.
    ///
    /// # Errors
    /// The program cannot be started, or the copy of its output cannot be written.
    pub(crate) async fn attempt<W: WorkerObserver>(
        &self,
        shared: &Shared<W>,
        delivery: &Delivery,
        attempt: u64,
        output: OutputPlan,
        mut urgency: watch::Receiver<Urgency>,
    ) -> std::io::Result<Ran> {
        let mut hearing = Hearing::new(&shared.console, &output).await?;
        let invocation = match self.invocation(&shared.plan, delivery, attempt) {
            Ok(invocation) => invocation,
            Err(error) => return Ok(said(End::Unstartable, format!("{error}\n"))),
        };
        let (seat, mut alone) = (self.seat(), false);
        let (end, response, log) = loop {
            let offering =
                seat.resident.offer(shared, &delivery.id, &invocation, alone, &mut urgency).await?;
            match offering {
                Offering::Ended { end, response, log } => break (end, response, log),
                Offering::NotTaken => {}
                Offering::Displaced { is_suspect } => {
                    alone |= is_suspect;
                    let how = if is_suspect { "alone, " } else { "" };
                    shared.observer.on(WorkerNotice::Note(&format!(
                        "item {}: its program ended while it worked on others too; the item runs again, {how}\
                         and no attempt is counted",
                        delivery.id
                    )));
                }
            }
        };
        hearing.out.listen(Some(&response[..]), OutputStream::Stdout).await;
        if let Some(file) = &mut hearing.err.file {
            // A full disk must not end the work: the file is incomplete then.
            file.write_all(log.tail.as_bytes()).await.ok();
            file.flush().await.ok();
        }
        Ok(Ran { stderr: log, ..hearing.into_ran(end) })
    }

    fn invocation(
        &self,
        plan: &WorkerPlan,
        delivery: &Delivery,
        attempt: u64,
    ) -> Result<Invocation, items_as::NoEvent> {
        let run = plan.run.as_deref().unwrap_or_default();
        let told = Told { id: &delivery.id, attempt, queue: &plan.queue, run };
        Ok(Invocation {
            event: items_as::event(self.plan.items_as, &delivery.body)?.into(),
            client_context: client_context(told),
            function_arn: function_arn(&plan.queue),
            limit: plan.item_timeout,
        })
    }

    /// A seat for an item: at a program that runs, if there is one. There are as many as slots.
    fn seat(&self) -> Seat<'_> {
        let mut seats = self.free_seats();
        let at = seats.iter().rposition(|resident| resident.is_warm());
        let resident = match at {
            Some(at) => seats.remove(at),
            None => seats.pop().expect("no more items run than there are seats"),
        };
        Seat { residents: self, resident }
    }

    fn free_seats(&self) -> MutexGuard<'_, Vec<Arc<Resident>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to offer an item to a program.
struct Seat<'a> {
    residents: &'a Residents,
    resident: Arc<Resident>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.residents.free_seats().push(self.resident.clone());
    }
}
