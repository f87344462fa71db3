//! Takes part in keeping the ledger of a run: the broker lets one worker at a time take outcomes, and that
//! one writes them into the ledger, page by page. It is a task of its own, so that it holds up nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::notes::Notes;
use super::patience::until_is;
use crate::confirms::Exchange;
use crate::ledger::Taking;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// How long an outcome waits for others before their page is written.
const PAGE_EVERY: Duration = Duration::from_secs(2);

/// Pause after an error.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A queue that sends nothing for so long has nothing to send: then a worker that leaves may do so.
const QUIET: Duration = Duration::from_millis(100);

/// The part of one session in keeping a ledger. Ends with it.
pub(super) struct Keeping {
    task: JoinHandle<()>,
    leaving_tx: watch::Sender<bool>,
}

impl Keeping {
    pub(super) fn start(
        broker: &Broker,
        exchange: &Exchange,
        queue: &QueueName,
        run: &str,
        blocked_rx: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Self {
        let (leaving_tx, leaving_rx) = watch::channel(false);
        let keeper = Keeper {
            broker: broker.clone(),
            exchange: exchange.clone(),
            queue: queue.clone(),
            run: run.to_owned(),
            blocked_rx,
            leaving_rx,
            notes: notes.clone(),
            read_others: false,
        };
        Self { task: tokio::spawn(keeper.run()), leaving_tx }
    }

    /// Writes what was taken and what is there, and ends.
    pub(super) async fn leave(mut self) {
        self.leaving_tx.send_replace(true);
        // A panic in the task is ignored: its outcomes are delivered again.
        (&mut self.task).await.ok();
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    broker: Broker,
    exchange: Exchange,
    queue: QueueName,
    run: String,
    blocked_rx: watch::Receiver<bool>,
    leaving_rx: watch::Receiver<bool>,
    notes: Notes,
    /// Whether messages were skipped, which is said once.
    read_others: bool,
}

impl Keeper {
    async fn run(mut self) {
        let mut failures = 0;
        while let Err(error) = self.keep().await {
            failures += 1;
            // Of a lost connection the session tells, and of a queue that is gone whoever publishes to it.
            let is_told = !self.broker.is_connected()
                || matches!(&error, Error::NoQueue(queue) if *queue == self.queue.outcomes(&self.run));
            // The first one may be over with the next attempt.
            if !is_told && failures == 2 {
                self.notes.say(format!("the ledger of run {} cannot be written here: {error}", self.run));
            }
            let mut leaving_rx = self.leaving_rx.clone();
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                () = until_is(&mut leaving_rx, true) => return,
            }
        }
    }

    /// Keeps the ledger until the worker leaves.
    async fn keep(&mut self) -> Result<(), Error> {
        until_is(&mut self.blocked_rx, false).await;
        let mut taking = Taking::open(&self.broker, &self.exchange, &self.queue, &self.run).await?;
        let mut leaving_rx = self.leaving_rx.clone();
        let mut is_active = false;
        loop {
            let due = taking.since().map(|since| since + PAGE_EVERY);
            tokio::select! {
                () = until_is(&mut leaving_rx, true) => break,
                () = until(due) => self.write(&mut taking).await?,
                taken = taking.next() => {
                    is_active = true;
                    self.look_at(taken?.is_page);
                    if taking.is_full() {
                        self.write(&mut taking).await?;
                    }
                }
            }
        }
        while is_active && let Ok(taken) = timeout(QUIET, taking.next()).await {
            self.look_at(taken?.is_page);
            if taking.is_full() {
                self.write(&mut taking).await?;
            }
        }
        self.write(&mut taking).await?;
        taking.close().await;
        Ok(())
    }

    /// A broker with an alarm takes no page, and says so: its answer is not waited for.
    async fn write(&mut self, taking: &mut Taking) -> Result<(), Error> {
        until_is(&mut self.blocked_rx, false).await;
        taking.write().await?;
        // A sum can wait for another worker, one that leaves cannot.
        let mut leaving_rx = self.leaving_rx.clone();
        tokio::select! {
            biased;
            () = until_is(&mut leaving_rx, true) => {}
            () = taking.sum_up() => {}
        }
        Ok(())
    }

    fn look_at(&mut self, is_page: bool) {
        if !is_page && !std::mem::replace(&mut self.read_others, true) {
            let queue = self.queue.outcomes(&self.run);
            self.notes.say(format!("queue {queue} has messages that are no outcomes: they are skipped"));
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
