//! One process group: started, signalled, and ended with all that is left in it.

use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::platform::Group;
use super::reaper::Reaper;

/// How long a program that was sent SIGTERM for its time limit may take before SIGKILL.
const TERM_TO_KILL: Duration = Duration::from_secs(5);

/// The same while the worker itself is being ended: the pod's own time is short.
const TERM_TO_KILL_AT_END: Duration = Duration::from_secs(2);

/// How long processes that a program leaves behind have between SIGTERM and SIGKILL.
pub(super) const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// How much running programs have to hurry. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// They may finish; nothing new is started.
    Finish,
    /// SIGTERM, and SIGKILL a little later.
    End,
    /// SIGKILL.
    Now,
}

/// Starts a program as the leader of a group of its own.
///
/// # Errors
/// The system's error.
pub(super) fn spawn(mut command: Command, reaper: &Reaper) -> std::io::Result<(Child, Group)> {
    command.kill_on_drop(true);
    let program = command.as_std().get_program().to_owned();
    Group::prepare(&mut command, &program)?;
    let child = reaper.spawn(&mut command)?;
    // A child that has not been waited for has an id.
    let group = child.id().and_then(Group::of);
    group.map(|group| (child, group)).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// Why the worker has sent signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its time limit.
    Limit,
    /// The worker has to end.
    Urgency,
}

/// Ends a process group at its time limit or when the worker has to end.
pub(super) struct Guard {
    pub group: Group,
    /// When to send the next signal, whatever the urgency.
    pub limit: Option<Instant>,
    pub urgency: watch::Receiver<Urgency>,
    /// Why signals were sent, if any were.
    pub sent: Option<Cause>,
}

impl Guard {
    /// Waits for the next reason to send a signal, and sends it. Safe to cancel.
    pub(super) async fn act(&mut self) {
        let urgency = *self.urgency.borrow_and_update();
        match (urgency, self.sent) {
            (Urgency::Now, _) => return self.kill(Cause::Urgency).await,
            (Urgency::End, None) => return self.terminate(Cause::Urgency, TERM_TO_KILL_AT_END),
            _ => {}
        }
        let limit = self.limit;
        let limit = async {
            match limit {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = limit => match self.sent {
                None => self.terminate(Cause::Limit, TERM_TO_KILL),
                Some(cause) => self.kill(cause).await,
            },
            changed = self.urgency.changed() => if changed.is_err() {
                // The event loop is gone, and this program with it.
                std::future::pending().await
            }
        }
    }

    /// Ends the group after this time, unless it is being ended.
    pub(super) fn limit_to(&mut self, time: Duration) {
        if self.sent.is_none() {
            self.limit = Some(Instant::now() + time);
        }
    }

    fn terminate(&mut self, cause: Cause, grace: Duration) {
        self.sent = Some(cause);
        self.limit = Some(Instant::now() + grace);
        self.group.terminate();
    }

    /// Sends SIGKILL, again and again: a process that is being created may miss one.
    async fn kill(&mut self, cause: Cause) {
        self.sent.get_or_insert(cause);
        self.group.kill();
        sleep(Duration::from_millis(100)).await;
    }
}

/// Ends what a program has left behind in its group.
pub(super) async fn end_leftovers(group: Group, hard: bool) {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    if !group.is_there() {
        return;
    }
    if !hard {
        group.terminate();
        let gone = async {
            while group.is_there() {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(LEFTOVER_GRACE, gone).await.is_ok() {
            return;
        }
    }
    group.kill();
}
