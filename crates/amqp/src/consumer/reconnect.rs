//! Keeps a worker's queue connected: one session after another, until the worker closes the queue or an
//! error ends the work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::keeping::Keeping;
use super::notes::Notes;
use super::plan::ConsumerPlan;
use super::request::{ConsumerOptions, WorkerRequest};
use super::session::{ConsumerSession, SessionEnd};
use super::settle::Settler;
use super::wanted::{Switch, Wanted};
use crate::{Broker, Error, topology};
use workqueue_core::queue::{Consuming, QueueEvent};

/// The first pause before a further attempt to connect; doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The task behind a worker's queue.
pub(super) struct Reconnecting {
    plan: ConsumerPlan,
    options: ConsumerOptions,
    wanted: Arc<Wanted>,
    results_checked: bool,
    sessions: u64,
    events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>,
    requests_rx: mpsc::UnboundedReceiver<WorkerRequest>,
}

impl Reconnecting {
    pub(super) fn new(
        plan: ConsumerPlan,
        events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>,
        requests_rx: mpsc::UnboundedReceiver<WorkerRequest>,
    ) -> Self {
        let options = ConsumerOptions {
            queue: plan.queue.clone(),
            concurrency: plan.concurrency,
            purpose: plan.purpose.clone(),
            consuming: Consuming::Paused,
            prefetch_extra: false,
            input: plan.input.clone(),
        };
        let (records, outcomes) = (Switch::new(plan.results), Switch::new(plan.ledger.is_some()));
        let keeps_outputs = plan.ledger.as_ref().is_some_and(|ledger| ledger.outputs);
        let outputs = Switch::new(keeps_outputs);
        let wanted = Arc::new(Wanted { records, outcomes, outputs, keeps_outputs });
        Self { plan, options, wanted, results_checked: false, sessions: 0, events_tx, requests_rx }
    }

    /// Serves the worker until it closes the queue or an error ends the work.
    pub(super) async fn run(mut self) {
        let mut down_since = Instant::now();
        let mut attempts = 0;
        loop {
            let error = match self.connect().await {
                Ok(None) => return,
                Ok(Some(session)) => {
                    if self.sessions > 1 {
                        self.note("the broker is back: work continues".to_owned());
                    }
                    let connected = Instant::now();
                    match session.serve(&mut self.options, &mut self.requests_rx).await {
                        SessionEnd::Left => return,
                        SessionEnd::Broken(error) => {
                            // A session that breaks at once is another failed attempt.
                            if connected.elapsed() > LONGEST_PAUSE {
                                (attempts, down_since) = (0, Instant::now());
                            }
                            self.note(format!("{error}: connecting again; running items continue"));
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            if !self.is_worth_retrying(&error) {
                self.events_tx.send(Err(error)).ok();
                return;
            }
            if down_since.elapsed() >= self.plan.give_up_after {
                let seconds = self.plan.give_up_after.as_secs();
                self.events_tx.send(Err(Error::Unreachable { seconds, last: Box::new(error) })).ok();
                return;
            }
            attempts += 1;
            if !self.serve_offline(tokio::time::sleep(pause(attempts))).await {
                return;
            }
        }
    }

    /// Connects, unless the worker closes the queue meanwhile.
    async fn connect(&mut self) -> Result<Option<ConsumerSession>, Error> {
        self.sessions += 1;
        let (number, plan, wanted) = (self.sessions, self.plan.clone(), self.wanted.clone());
        let check_results = plan.results && !self.results_checked;
        let events_tx = self.events_tx.clone();
        let mut opened = None;
        let opening = async {
            opened = Some(open_session(number, &plan, wanted, check_results, events_tx).await);
        };
        if !self.serve_offline(opening).await {
            return Ok(None);
        }
        let Some(opened) = opened else { return Ok(None) };
        let session = opened?;
        self.results_checked = true;
        Ok(Some(session))
    }

    /// Takes requests while there is no session; false once the worker has closed the queue.
    async fn serve_offline(&mut self, meanwhile: impl Future<Output = ()>) -> bool {
        let mut meanwhile = std::pin::pin!(meanwhile);
        loop {
            tokio::select! {
                () = &mut meanwhile => return true,
                request = self.requests_rx.recv() => match request {
                    None | Some(WorkerRequest::Close) => return false,
                    Some(WorkerRequest::Settle(tag, _)) => _ = self.events_tx.send(Ok(QueueEvent::Lost(tag))),
                    Some(WorkerRequest::Consume(how)) => self.options.consuming = how,
                    Some(WorkerRequest::PrefetchExtra(extra)) => self.options.prefetch_extra = extra,
                    Some(WorkerRequest::Counts) => {}
                }
            }
        }
    }

    /// Whether a new connection may succeed. A refused login may be temporary if an earlier one
    /// succeeded: brokers answer like that while they start.
    fn is_worth_retrying(&self, error: &Error) -> bool {
        match error {
            Error::Connection(_) | Error::LoginTimeout | Error::NoAnswer { .. } => true,
            Error::LoginRefused | Error::Refused { .. } => self.results_checked,
            Error::NoQueue(_) | Error::Unreachable { .. } | Error::Address(_) => false,
        }
    }

    fn note(&self, note: String) {
        self.events_tx.send(Ok(QueueEvent::Note(note))).ok();
    }
}

async fn open_session(
    number: u64,
    plan: &ConsumerPlan,
    wanted: Arc<Wanted>,
    check_results: bool,
    events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>,
) -> Result<ConsumerSession, Error> {
    let broker = Broker::connect(&plan.endpoint, &plan.purpose).await?;
    if !topology::exists(&broker, &plan.queue).await? {
        return Err(Error::NoQueue(plan.queue.clone()));
    }
    // Failed items are dead-lettered to it.
    topology::ensure_failed(&broker, &plan.queue).await?;
    let exchange = topology::exchange_for_worker(&broker, &plan.queue).await?;
    if check_results {
        match topology::ensure_results(&broker, &plan.queue).await {
            Err(Error::Refused { reason, .. }) => {
                wanted.records.turn_off();
                events_tx.send(Ok(QueueEvent::Note(format!("no results are recorded: {reason}")))).ok();
            }
            other => other?,
        }
    }
    let notes = Notes::new(events_tx.clone());
    let settler = Settler::new(&broker, &exchange, plan, wanted, &notes);
    let keeping = plan.ledger.as_ref().filter(|ledger| ledger.keeps).map(|ledger| {
        Keeping::start(&broker, &exchange, &plan.queue, &ledger.run, settler.blocked(), &notes)
    });
    ConsumerSession::open(number, broker, settler, keeping, events_tx).await
}

fn pause(attempts: u32) -> Duration {
    use rand::RngExt as _;
    let factor = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let longest = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.5..=1.0))
}
