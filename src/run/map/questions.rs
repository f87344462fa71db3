//! What `map` asks and tells the broker about its run, over connections of their own.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::driver::Driving;
use super::remains::LOST_FOR;
use crate::error::Error;
use crate::notice::{Notice, Wait, Warning};
use crate::queue::connection::{BrokerConnection, is_transient};
use crate::queue::input_gate::InputGate;
use crate::results::printing::PrintProgress;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, topology};

/// How long nothing has to be printed before the broker is asked what there is to wait for.
const GATE_PAUSE: Duration = Duration::from_secs(5);

/// Pause between two attempts at something that the broker does not answer.
const PAUSE: Duration = Duration::from_secs(2);

impl Driving<'_> {
    /// Waits until nobody else collects the outputs. A process that was killed seems to, for a while.
    pub(super) async fn until_free(&self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let outputs = self.queue.outputs(&self.job.run);
            let depth = self.ask(async |broker| topology::reported_depth(broker, &outputs).await).await?;
            let consumers = depth.map_or(0, |depth| depth.consumers);
            if consumers == 0 {
                return Ok(());
            }
            if started.elapsed() > LOST_FOR {
                return Err(Error::AlreadyCollected(self.job.run.clone()));
            }
            let run = &self.job.run;
            self.observer.on(Notice::Waiting(Wait::OtherCollector { run, consumers }));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the input has not come to its end.
    pub(super) async fn input_goes_on(&self) -> Result<bool, Error> {
        let input = self.queue.input(&self.job.run);
        self.ask(async |broker| topology::exists(broker, &input).await).await
    }

    /// Tells the workers that the input has ended. What was `cut` off is noted before: later, nobody could
    /// tell the run from one over the whole input.
    pub(super) async fn close_input(&self, cut: Option<String>) -> Result<(), Error> {
        let input = self.queue.input(&self.job.run);
        loop {
            let closing = async {
                if let Some(reason) = &cut {
                    self.cluster.note_input_cut(&self.job.name, reason).await?;
                }
                self.ask(async |broker| topology::delete(broker, &input).await).await
            };
            match closing.await {
                Err(error) if is_transient(&error) => {
                    self.observer.on(Notice::Waiting(Wait::BrokerBack(&error.to_string())));
                }
                closed => return closed,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets the reading of the input go on when it waits for items that will never be printed: somebody has
    /// purged them, or taken them out of the queue. Never ends.
    pub(super) async fn watch_gate(&self, gate: &InputGate, progress: &PrintProgress) -> Infallible {
        loop {
            let before = progress.printed();
            tokio::time::sleep(GATE_PAUSE).await;
            let is_idle = progress.begun().is_none() && progress.printed() == before;
            if !is_idle || !gate.is_closed() {
                continue;
            }
            let outputs = self.queue.outputs(&self.job.run);
            let looking = self.ask(async |broker| {
                let items = topology::depth(broker, &self.queue).await?;
                Ok((items, topology::depth(broker, &outputs).await?))
            });
            // What is wrong with the broker is said by those who follow and collect.
            if let Ok((Some(items), Some(outputs))) = looking.await
                && outputs.ready == 0
            {
                gate.set_waiting(u64::from(items.ready) + progress.waiting());
            }
        }
    }

    /// Makes room for others. It is no reason to fail: the outputs of old runs are deleted with them.
    pub(super) async fn forget_outputs(&self) {
        let outputs = self.queue.outputs(&self.job.run);
        let forgetting = self.ask(async |broker| topology::delete(broker, &outputs).await);
        if let Err(error) = forgetting.await {
            self.observer.warn(Warning::OldRunsStay { reason: &error.to_string() });
        }
    }

    async fn ask<T>(&self, question: impl AsyncFn(&Broker) -> Result<T, broker::Error>) -> Result<T, Error> {
        let query = async |connection: &BrokerConnection| {
            question(&connection.broker).await.map_err(|error| connection.explain(error))
        };
        BrokerConnection::query(self.cluster, self.release, "kubectl-workqueue map", query).await
    }
}
