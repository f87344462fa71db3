//! The worker's side of a broker's queue: one session after another, as long as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::session::{Ended, Session};
use super::settle::Outbox;
use super::{Broker, Endpoint, Error, topology};
use workqueue_core::names::QueueName;
use workqueue_core::queue::{Claim, Consuming, Event, Queue, Verdict};

/// Seconds between heartbeats that a worker asks for. RabbitMQ takes a peer for dead after two to
/// three times this (`rabbit_heartbeat.erl`); see [`DEAD_AFTER`].
const HEARTBEAT_SECONDS: u16 = 15;

/// The longest that a broker takes to notice that a worker's machine is gone, with a margin for
/// the return of its items.
pub const DEAD_AFTER: Duration = Duration::from_secs(4 * HEARTBEAT_SECONDS as u64);

/// The largest frame, in bytes. lapin keeps buffers of 32 frames each way: with the broker's
/// 128 KiB they alone would take 8 MiB of a worker that is to be small. The headers of a failed
/// item have to fit one frame.
const FRAME_MAX: u32 = 64 * 1024;

/// How long taking leave may take in all: a pod has some seconds after its grace period.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(6);

/// The first pause before a further attempt to connect; doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Which queue, and how.
#[derive(Debug, Clone)]
pub struct ConsumerPlan {
    /// The broker. What its URL asks of AMQP itself goes before the worker's own settings.
    pub endpoint: Endpoint,
    /// The queue.
    pub queue: QueueName,
    /// Items at one time. As many are taken from the queue and no more, so that none waits here
    /// while another worker is idle; only quick items are taken ahead.
    pub concurrency: u16,
    /// Whether to record results.
    pub results: bool,
    /// How long to go on without a connection.
    pub give_up_after: Duration,
    /// The worker's name in the broker's own tools.
    pub purpose: String,
}

/// What is wanted of a session now.
#[derive(Debug)]
pub(super) struct Options {
    pub queue: QueueName,
    pub concurrency: u16,
    pub purpose: String,
    pub consuming: Consuming,
    pub quick: bool,
}

/// What the worker asks for.
#[derive(Debug)]
pub(super) enum Command {
    Settle(Claim, Verdict),
    Consume(Consuming),
    Measure,
    LookAhead(bool),
    Close,
}

/// A broker's queue as one worker sees it.
pub struct BrokerQueue {
    events_rx: mpsc::UnboundedReceiver<Result<Event, Error>>,
    commands_tx: mpsc::UnboundedSender<Command>,
    driver: JoinHandle<()>,
    quick: bool,
}

impl BrokerQueue {
    /// Starts to connect. Nothing has been reached yet when this returns; the first event or
    /// error tells.
    pub fn open(mut plan: ConsumerPlan) -> Self {
        plan.endpoint.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        plan.endpoint.query.frame_max.get_or_insert(FRAME_MAX);
        // Neither way needs a bound of its own: deliveries are bounded by the prefetch, and what
        // is asked for by the deliveries.
        let (events_tx, events_rx) = mpsc::unbounded_channel();
        let (commands_tx, commands_rx) = mpsc::unbounded_channel();
        let driver = Driver::new(plan, events_tx, commands_rx);
        Self { events_rx, commands_tx, driver: tokio::spawn(driver.run()), quick: false }
    }

    fn ask(&self, command: Command) {
        // A driver that has ended has said why in its last event.
        self.commands_tx.send(command).ok();
    }
}

impl Queue for BrokerQueue {
    type Error = Error;

    async fn next(&mut self) -> Result<Event, Error> {
        match self.events_rx.recv().await {
            Some(event) => event,
            None => Err(Error::Connection("the connection's task has ended".to_owned())),
        }
    }

    fn settle(&mut self, claim: Claim, verdict: Verdict) {
        self.ask(Command::Settle(claim, verdict));
    }

    fn consume(&mut self, how: Consuming) {
        self.ask(Command::Consume(how));
    }

    fn measure(&mut self) {
        self.ask(Command::Measure);
    }

    fn look_ahead(&mut self, quick: bool) -> bool {
        if self.quick != quick {
            self.quick = quick;
            self.ask(Command::LookAhead(quick));
        }
        quick
    }

    async fn close(self) {
        self.ask(Command::Close);
        // A panic there is no reason for one here: the connection is gone either way. Nor is a broker
        // that does not answer one to outstay the pod's grace period.
        let mut driver = self.driver;
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

struct Driver {
    plan: ConsumerPlan,
    options: Options,
    results: Arc<AtomicBool>,
    results_checked: bool,
    sessions: u64,
    events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
    commands_rx: mpsc::UnboundedReceiver<Command>,
}

impl Driver {
    fn new(
        plan: ConsumerPlan,
        events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
        commands_rx: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let options = Options {
            queue: plan.queue.clone(),
            concurrency: plan.concurrency,
            purpose: plan.purpose.clone(),
            consuming: Consuming::Paused,
            quick: false,
        };
        let results = Arc::new(AtomicBool::new(plan.results));
        Self { plan, options, results, results_checked: false, sessions: 0, events_tx, commands_rx }
    }

    async fn run(mut self) {
        let mut down_since = Instant::now();
        let mut attempts = 0;
        loop {
            let error = match self.connect().await {
                Ok(None) => return,
                Ok(Some(session)) => {
                    if self.sessions > 1 {
                        self.note("the broker is back: the work goes on".to_owned());
                    }
                    let connected = Instant::now();
                    match session.serve(&mut self.options, &mut self.commands_rx).await {
                        Ended::Left => return,
                        Ended::Broken(error) => {
                            // A session that breaks at once is another failed attempt.
                            if connected.elapsed() > LONGEST_PAUSE {
                                (attempts, down_since) = (0, Instant::now());
                            }
                            self.note(format!("{error}: connecting again, while what runs goes on"));
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            if !self.may_pass(&error) {
                self.events_tx.send(Err(error)).ok();
                return;
            }
            if down_since.elapsed() >= self.plan.give_up_after {
                let seconds = self.plan.give_up_after.as_secs();
                self.events_tx.send(Err(Error::Unreachable { seconds, last: Box::new(error) })).ok();
                return;
            }
            attempts += 1;
            if !self.obey_offline(tokio::time::sleep(pause(attempts))).await {
                return;
            }
        }
    }

    /// Connects, unless the worker leaves meanwhile.
    async fn connect(&mut self) -> Result<Option<Session>, Error> {
        self.sessions += 1;
        let (number, plan, results) = (self.sessions, self.plan.clone(), self.results.clone());
        let check_results = plan.results && !self.results_checked;
        let events_tx = self.events_tx.clone();
        let mut opened = None;
        let opening = async {
            opened = Some(open(number, &plan, results, check_results, events_tx).await);
        };
        if !self.obey_offline(opening).await {
            return Ok(None);
        }
        let Some(opened) = opened else { return Ok(None) };
        let session = opened?;
        self.results_checked = true;
        Ok(Some(session))
    }

    /// Takes requests while there is no session; false once the worker has left.
    async fn obey_offline(&mut self, meanwhile: impl Future<Output = ()>) -> bool {
        let mut meanwhile = std::pin::pin!(meanwhile);
        loop {
            tokio::select! {
                () = &mut meanwhile => return true,
                command = self.commands_rx.recv() => match command {
                    None | Some(Command::Close) => return false,
                    Some(Command::Settle(claim, _)) => _ = self.events_tx.send(Ok(Event::Lost(claim))),
                    Some(Command::Consume(how)) => self.options.consuming = how,
                    Some(Command::LookAhead(quick)) => self.options.quick = quick,
                    Some(Command::Measure) => {}
                }
            }
        }
    }

    /// Whether a new connection may mend it. A refused login may pass where one succeeded before:
    /// brokers answer so while they start.
    fn may_pass(&self, error: &Error) -> bool {
        match error {
            Error::Connection(_) | Error::LoginTimeout => true,
            Error::LoginRefused | Error::Refused { .. } => self.results_checked,
            Error::NoQueue(_) | Error::Unreachable { .. } | Error::Address(_) => false,
        }
    }

    fn note(&self, note: String) {
        self.events_tx.send(Ok(Event::Note(note))).ok();
    }
}

async fn open(
    number: u64,
    plan: &ConsumerPlan,
    results: Arc<AtomicBool>,
    check_results: bool,
    events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
) -> Result<Session, Error> {
    let broker = Broker::connect(&plan.endpoint, &plan.purpose).await?;
    if topology::depth(&broker, &plan.queue).await?.is_none() {
        return Err(Error::NoQueue(plan.queue.clone()));
    }
    // Without it, failed items would have nowhere to go.
    topology::ensure_failed(&broker, &plan.queue).await?;
    if check_results {
        match topology::ensure_results(&broker, &plan.queue).await {
            Err(Error::Refused { reason, .. }) => {
                results.store(false, Ordering::Relaxed);
                events_tx.send(Ok(Event::Note(format!("no results are recorded: {reason}")))).ok();
            }
            other => other?,
        }
    }
    let outbox = Outbox::open(&broker, &plan.queue, results).await?;
    Session::open(number, broker, outbox, events_tx).await
}

fn pause(attempts: u32) -> Duration {
    use rand::RngExt as _;
    let factor = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let longest = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.5..=1.0))
}
