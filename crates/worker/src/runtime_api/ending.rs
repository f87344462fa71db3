//! The end of a program that stays: why it is ended, and what is read before it counts as ended.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use crate::group::{Cause, Guard, end_leftovers};
use crate::platform::ending_signal;
use crate::program::OUTPUT_GRACE;
use crate::reaper::Reaper;

/// How long a program that has reported an error of its start may take to end.
const INIT_ERROR_GRACE: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub status: ExitStatus,
    /// Why the worker ended it, if it did.
    pub cause: Option<Cause>,
    /// Items that it had not answered for.
    pub under_way: usize,
}

impl Ended {
    /// Whether nothing and nobody was the reason: no item, and not the worker.
    pub(super) fn is_between_items(self) -> bool {
        self.under_way == 0 && self.cause.is_none()
    }

    /// The signal that ended it, if one did.
    pub(super) fn signal(self) -> Option<i32> {
        ending_signal(self.status)
    }

    /// As a predicate.
    pub(super) fn how(self) -> String {
        match (self.status.code(), self.signal()) {
            (Some(code), _) => format!("exited with {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
        }
    }
}

/// Watches over a program until it has ended.
pub(super) struct Watching {
    pub guard: Guard,
    pub endpoint: Arc<Endpoint>,
    pub too_long: Arc<Notify>,
    pub reaper: Reaper,
    /// Asks the server to read out what was sent, and to end.
    pub closing_tx: oneshot::Sender<()>,
    /// Closed once it has.
    pub served_rx: oneshot::Receiver<()>,
    /// Closed at the end of the log.
    pub heard_rx: oneshot::Receiver<()>,
}

impl Watching {
    /// Waits until the program has ended, and all is read that it has sent and written before.
    pub(super) async fn until_end(mut self, mut child: Child) -> Ended {
        let (id, group) = (child.id(), self.guard.group);
        let status = loop {
            tokio::select! {
                biased;
                status = child.wait() => break status,
                () = self.endpoint.init_failed() => self.guard.limit_to(INIT_ERROR_GRACE),
                () = self.too_long.notified() => {
                    self.endpoint.close();
                    self.guard.limit_to(Duration::ZERO);
                }
                () = self.guard.act() => {}
            }
        };
        self.reaper.forget(id);
        self.endpoint.close();
        let cause = self.guard.sent;
        end_leftovers(group, cause.is_some()).await;
        self.closing_tx.send(()).ok();
        self.served_rx.await.ok();
        // Processes that left the group may hold the log open forever.
        timeout(OUTPUT_GRACE, self.heard_rx).await.ok();
        // Only a process that somebody else has waited for has no status.
        let status = status.unwrap_or_default();
        Ended { status, cause, under_way: self.endpoint.under_way() }
    }
}
