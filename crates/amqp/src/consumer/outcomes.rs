//! Publishes how the items of a batch ended to `QUEUE.outcomes.RUN`, for the run's ledger. An item is
//! acknowledged only once its outcome is confirmed: without it, nothing would prove that it is done.

use std::sync::Arc;

use lapin::BasicProperties;
use tokio::sync::watch;

use super::notes::Notes;
use super::outlet::{Outlet, Published};
use super::patience::{CONFIRM_DEADLINE, patience};
use super::wanted::Wanted;
use crate::confirms::Route;
use crate::properties::PERSISTENT;
use crate::{Broker, Error};
use workqueue_core::ledger::LedgerPage;

/// What the items of a queue that refuses their outcomes do meanwhile.
const WAITING: &str = "finished items wait here until it has room";

/// Where the outcomes of one session go.
pub(super) struct Outcomes {
    outlet: Outlet,
    blocked_rx: watch::Receiver<bool>,
    wanted: Arc<Wanted>,
}

impl Outcomes {
    pub(super) fn new(
        broker: &Broker,
        route: Route,
        wanted: Arc<Wanted>,
        blocked_rx: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Self {
        Self { outlet: Outlet::new(broker, route, notes), blocked_rx, wanted }
    }

    /// Publishes the outcomes of a batch, and waits for the confirm.
    ///
    /// # Errors
    /// The session is over. So it is if there is no confirm for too long: outcomes are not dropped, and
    /// another connection may lead to a broker that is well.
    pub(super) async fn publish(&self, page: &LedgerPage) -> Result<(), Error> {
        if page.is_empty() || !self.wanted.outcomes.is_on() {
            return Ok(());
        }
        let body = page.to_json();
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        let published = tokio::select! {
            published = self.outlet.publish(&body, &properties, WAITING) => published,
            () = patience(self.blocked_rx.clone(), CONFIRM_DEADLINE) => {
                let (queue, seconds) = (&self.outlet.route.queue, CONFIRM_DEADLINE.as_secs());
                return Err(Error::Connection(format!("queue {queue} has confirmed nothing for {seconds} s")));
            }
        };
        match published {
            Ok(Published::Confirmed) => Ok(()),
            Ok(Published::NoQueue) => {
                self.give_up("it is gone");
                Ok(())
            }
            Err(Error::Refused { reason, .. }) => {
                self.give_up(&reason);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The work goes on: whoever judges the run finds that its books do not balance.
    fn give_up(&self, why: &str) {
        if self.wanted.outcomes.turn_off() {
            let queue = &self.outlet.route.queue;
            let note = format!(
                "no more outcomes are published to queue {queue} ({why}): nothing will prove that items are done"
            );
            self.outlet.notes.say(note);
        }
    }
}
