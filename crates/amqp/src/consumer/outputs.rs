//! Publishes whole outputs to `QUEUE.outputs.RUN`. An item is acknowledged only once its output is confirmed.
//! A queue that is full refuses: then finished items wait here for as long as it takes, and none is lost.

use std::sync::Arc;

use lapin::BasicProperties;
use tokio::sync::watch;

use super::notes::Notes;
use super::outlet::{Answer, Outlet, Published, REFUSED_PAUSE};
use super::patience::{CONFIRM_DEADLINE, patience};
use super::wanted::Wanted;
use crate::confirms::Route;
use crate::properties::PERSISTENT;
use crate::{Broker, Error};
use workqueue_core::output::{OUTPUTS, OutputEntry, to_message};

/// What the items of a queue that is full do meanwhile.
const WAITING: &str =
    "it is full of outputs that nobody has collected, and finished items wait here until it has room";

/// Where the outputs of one session go.
pub(super) struct Outputs {
    outlet: Outlet,
    blocked_rx: watch::Receiver<bool>,
    wanted: Arc<Wanted>,
}

impl Outputs {
    pub(super) fn new(
        broker: &Broker,
        route: Route,
        wanted: Arc<Wanted>,
        blocked_rx: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Self {
        Self { outlet: Outlet::new(broker, route, notes), blocked_rx, wanted }
    }

    /// Publishes the outputs of a batch as one message, and waits for the confirm. Returns the ids of
    /// the items whose output is not kept as a whole.
    ///
    /// # Errors
    /// The session is over, or the broker has not answered for too long.
    pub(super) async fn publish(&self, entries: Vec<OutputEntry>) -> Result<Vec<String>, Error> {
        let cut = |entries: &[OutputEntry]| {
            entries.iter().filter(|entry| entry.is_cut()).map(|entry| entry.id.clone()).collect()
        };
        if entries.is_empty() || self.try_publish(&entries).await? {
            return Ok(cut(&entries));
        }
        // Together, or one of them alone, they are larger than what the broker takes.
        let mut kept = Vec::new();
        for entry in entries {
            if self.try_publish(std::slice::from_ref(&entry)).await? {
                kept.push(entry);
                continue;
            }
            let entry = OutputEntry { item: None, ..entry.without_output() };
            self.try_publish(std::slice::from_ref(&entry)).await?;
            kept.push(entry);
        }
        Ok(cut(&kept))
    }

    /// Returns false if the broker takes no such message at all, and says why.
    async fn try_publish(&self, entries: &[OutputEntry]) -> Result<bool, Error> {
        let properties =
            BasicProperties::default().with_delivery_mode(PERSISTENT).with_content_type(OUTPUTS.into());
        let body = to_message(entries);
        loop {
            if !self.wanted.outputs.is_on() {
                return Ok(false);
            }
            let published = tokio::select! {
                published = self.outlet.try_publish(&body, &properties, WAITING) => published,
                () = patience(self.blocked_rx.clone(), CONFIRM_DEADLINE) => {
                    let (queue, seconds) = (&self.outlet.route.queue, CONFIRM_DEADLINE.as_secs());
                    return Err(Error::Connection(format!("queue {queue} has confirmed nothing for {seconds} s")));
                }
            };
            match published {
                Ok(Answer::Published(Published::Confirmed)) => return Ok(true),
                Ok(Answer::Published(Published::NoQueue)) => self.give_up(),
                Ok(Answer::Refused) => {
                    // The next attempt asks with another channel: the news that there is room may get lost.
                    self.outlet.renew().await;
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                Err(Error::Refused { reason, .. }) => {
                    self.outlet.notes.say(format!("{}: {reason}", named(entries)));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The work goes on: the ledger says whose outputs are missing.
    fn give_up(&self) {
        if self.wanted.outputs.turn_off() {
            let note = format!("queue {} is gone: no more outputs are kept", self.outlet.route.queue);
            self.outlet.notes.say(note);
        }
    }
}

fn named(entries: &[OutputEntry]) -> String {
    match entries {
        [one] => format!("the output of item {} is not kept", one.id),
        _ => format!("the outputs of {} items are not taken together", entries.len()),
    }
}
