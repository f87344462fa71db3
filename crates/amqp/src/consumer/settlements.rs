//! The settlements that are under way. At most one batch is; what is finished meanwhile forms the next one,
//! so that batches grow with the load.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::batch::Finished;
use super::held_delivery::HeldDelivery;
use super::settle::Settler;
use crate::Error;
use workqueue_core::queue::Settlement;

/// How long a finished item waits for others at most.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What was done for one delivery alone.
enum Step {
    Requeued(u64),
    DeadLettered(Box<Finished>),
}

/// The settlements of one session.
pub(super) struct Settlements {
    settler: Arc<Settler>,
    steps: FuturesUnordered<Pending<Step>>,
    /// Items for the next batch.
    finished: VecDeque<Finished>,
    /// When the first of them was finished.
    since: Instant,
    flush: Option<Pending<Vec<u64>>>,
}

impl Settlements {
    pub(super) fn new(settler: Settler) -> Self {
        Self {
            settler: Arc::new(settler),
            steps: FuturesUnordered::new(),
            finished: VecDeque::new(),
            since: Instant::now(),
            flush: None,
        }
    }

    /// Starts to settle a delivery. [`next`](Self::next) gives its number once it is settled.
    pub(super) fn settle(&mut self, number: u64, held: HeldDelivery, settlement: Settlement) {
        match settlement {
            Settlement::Done(record) => self.finished(Finished { number, held, record }),
            Settlement::Failed { record, body } => {
                let settler = self.settler.clone();
                let dead_letter = async move {
                    let finished = settler.dead_letter(number, held, record, &body).await?;
                    Ok(Step::DeadLettered(Box::new(finished)))
                };
                self.steps.push(Box::pin(dead_letter));
            }
            Settlement::Requeue => {
                let settler = self.settler.clone();
                let requeue = async move { settler.requeue(&held).await.map(|()| Step::Requeued(number)) };
                self.steps.push(Box::pin(requeue));
            }
        }
    }

    /// Notes whether the broker blocks the connection.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.settler.set_blocked(blocked);
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.flush.is_none() && self.finished.is_empty() && self.steps.is_empty()
    }

    fn finished(&mut self, item: Finished) {
        if self.finished.is_empty() {
            self.since = Instant::now();
        }
        self.finished.push_back(item);
    }

    /// The numbers of the deliveries that are settled next. Waits if nothing is under way. A batch starts
    /// with `enough` items, and after some milliseconds with fewer. Safe to cancel.
    ///
    /// # Errors
    /// The session is over.
    pub(super) async fn next(&mut self, enough: usize) -> Result<Vec<u64>, Error> {
        loop {
            let is_due = self.flush.is_none() && !self.finished.is_empty();
            if is_due && self.finished.len() >= enough {
                self.start_flush();
            }
            let starts_at = self.since + LONGEST_WAIT;
            tokio::select! {
                biased;
                flushed = flushed(&mut self.flush) => {
                    self.flush = None;
                    return flushed;
                }
                Some(step) = self.steps.next() => match step? {
                    Step::Requeued(number) => return Ok(vec![number]),
                    Step::DeadLettered(item) => self.finished(*item),
                },
                () = sleep_until(starts_at), if is_due && self.flush.is_none() => self.start_flush(),
            }
        }
    }

    fn start_flush(&mut self) {
        let (settler, batch) = (self.settler.clone(), self.settler.batch(&mut self.finished));
        self.since = Instant::now();
        self.flush = Some(Box::pin(async move { settler.flush(batch).await }));
    }
}

async fn flushed(flush: &mut Option<Pending<Vec<u64>>>) -> Result<Vec<u64>, Error> {
    match flush {
        Some(flush) => flush.await,
        None => std::future::pending().await,
    }
}
