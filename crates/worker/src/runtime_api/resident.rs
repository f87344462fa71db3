//! The program of one slot, or of several: started when an item needs it, and again when it has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::sleep;

use super::ending::Ended;
use super::instance::{Instance, Offering};
use super::invocation::Invocation;
use crate::attempts::Shared;
use crate::group::Urgency;
use crate::notice::{WorkerNotice, WorkerObserver};

/// How often in a row a program may end before it takes an item.
const STARTS: u32 = 5;

/// A program that is there, or will be once it is needed.
pub(super) struct Resident {
    concurrency: usize,
    /// One for each item that it may have under way.
    seats: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instance: Option<Arc<Instance>>,
    /// How often in a row it has ended before it took an item.
    failures: u32,
}

impl Resident {
    /// One that works on so many items at a time.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { concurrency, seats: Semaphore::new(concurrency), state: Mutex::default() }
    }

    /// Whether its program runs, or is being started.
    pub(super) fn is_warm(&self) -> bool {
        self.state.try_lock().map_or(true, |state| {
            state.instance.as_ref().is_some_and(|instance| instance.has_ended().is_none())
        })
    }

    /// Waits for the end of its program, if it runs.
    pub(super) async fn ended(&self) {
        let instance = self.state.lock().await.instance.clone();
        if let Some(instance) = instance {
            instance.ended().await;
        }
    }

    /// Gives an item to the program, and waits for what becomes of it; never [`Offering::NotTaken`].
    /// With `alone`, the program gets no other meanwhile.
    ///
    /// # Errors
    /// The program cannot be started, or ends again and again.
    pub(super) async fn offer<W: WorkerObserver>(
        &self,
        shared: &Shared<W>,
        item: &str,
        invocation: &Invocation,
        alone: bool,
        urgency: &mut watch::Receiver<Urgency>,
    ) -> std::io::Result<Offering> {
        let seats = if alone { self.concurrency } else { 1 };
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        let _seats = tokio::select! {
            biased;
            seats = self.seats.acquire_many(seats) => seats,
            _ = urgency.wait_for(|urgency| *urgency >= Urgency::Finish) => return Ok(Offering::stopped()),
        };
        let waits = |so_long: Duration| {
            let seconds = so_long.as_secs();
            shared.observer.on(WorkerNotice::Note(&format!(
                "item {item}: has waited {seconds} s for its program, which does not ask for items at \
                 http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
            )));
        };
        loop {
            let Some(instance) = self.instance(shared, urgency).await? else {
                return Ok(Offering::stopped());
            };
            match instance.offer(invocation.clone(), urgency, waits).await {
                Offering::NotTaken => {}
                offering => return Ok(offering),
            }
        }
    }

    /// The program that runs; starts it if none does. `None` if the worker ends first.
    async fn instance<W: WorkerObserver>(
        &self,
        shared: &Shared<W>,
        urgency: &mut watch::Receiver<Urgency>,
    ) -> std::io::Result<Option<Arc<Instance>>> {
        let mut state = self.state.lock().await;
        if let Some(instance) = &state.instance {
            let Some(ended) = instance.has_ended() else { return Ok(Some(instance.clone())) };
            if let Some(pause) = state.has_ended(shared, ended)? {
                tokio::select! {
                    biased;
                    _ = urgency.wait_for(|urgency| *urgency >= Urgency::Finish) => return Ok(None),
                    () = sleep(pause) => {}
                }
            }
        }
        if *urgency.borrow() >= Urgency::Finish {
            return Ok(None);
        }
        let instance = Arc::new(Instance::start(shared, self.concurrency, urgency.clone()).await?);
        state.instance = Some(instance.clone());
        Ok(Some(instance))
    }
}

impl State {
    /// Notes that the program has ended. Returns the pause before the next start; none if the program had
    /// taken an item.
    fn has_ended<W: WorkerObserver>(
        &mut self,
        shared: &Shared<W>,
        ended: Ended,
    ) -> std::io::Result<Option<Duration>> {
        let Some(instance) = self.instance.take() else { return Ok(None) };
        let say = |note: &str| shared.observer.on(WorkerNotice::Note(note));
        if instance.endpoint.has_taken() {
            self.failures = 0;
            if ended.is_between_items() {
                say(&format!("the program {} between two items; it is started again", ended.how()));
            }
            return Ok(None);
        }
        self.failures += 1;
        let reported = instance.endpoint.reported().map(|error| error.to_string());
        let said =
            reported.or_else(|| instance.last_line()).map_or(String::new(), |said| format!(": {said}"));
        if self.failures >= STARTS {
            return Err(std::io::Error::other(format!(
                "it ended {STARTS} times in a row before it took an item; the last time it {}{said}",
                ended.how()
            )));
        }
        let pause = shared.plan.backoff.pause(self.failures);
        let seconds = pause.as_secs_f64();
        say(&format!(
            "the program {} before it took an item{said}; it is started again in {seconds:.1} s",
            ended.how()
        ));
        Ok(Some(pause))
    }
}
