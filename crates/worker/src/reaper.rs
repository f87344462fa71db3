//! Reaps orphans, as PID 1 has to: processes whose parents have died become our children.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::platform;

/// Knows our own programs, and so which children are orphans of others, and how many can run.
#[derive(Debug, Clone, Default)]
pub struct Reaper {
    ours: Arc<Mutex<HashSet<u32>>>,
    places: Arc<Places>,
}

/// How many programs may run at a time, once the system has refused to start more.
#[derive(Debug, Default)]
struct Places {
    /// How many may, if that is limited, and how many are taken.
    state: Mutex<(Option<usize>, usize)>,
    left: Notify,
}

/// The right to run a program.
pub(super) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
        self.0.left.notify_waiters();
    }
}

impl Places {
    fn take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let free = state.0.is_none_or(|allowed| state.1 < allowed);
        state.1 += usize::from(free);
        free
    }
}

impl Reaper {
    /// Starts a program and remembers it. A lock is held meanwhile, so that a program which ends
    /// at once is not taken for an orphan.
    pub(super) fn spawn(&self, command: &mut Command) -> std::io::Result<Child> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        if let Some(id) = child.id() {
            ours.insert(id);
        }
        Ok(child)
    }

    /// Waits until a further program may run.
    pub(super) async fn place(&self) -> Place {
        loop {
            // Armed first, so that no place that is left meanwhile is missed.
            let mut left = std::pin::pin!(self.places.left.notified());
            left.as_mut().enable();
            if self.places.take() {
                return Place(self.places.clone());
            }
            left.await;
        }
    }

    /// Whether a program runs, whose end frees what another one lacks.
    pub(super) fn has_programs(&self) -> bool {
        !self.ours.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Allows no more programs than run now, since the system refuses to start another one. Returns
    /// how many, if that is news.
    pub(super) fn lower(&self) -> Option<usize> {
        let running = self.ours.lock().unwrap_or_else(PoisonError::into_inner).len().max(1);
        let mut state = self.places.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.0.is_none_or(|allowed| running < allowed);
        is_news.then(|| *state.0.insert(running))
    }

    /// Forgets a program that had this id until it was waited for.
    pub(super) fn forget(&self, id: Option<u32>) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.retain(|ours| Some(*ours) != id);
    }

    /// Reaps orphans forever, if this process is PID 1.
    pub async fn run(self) {
        if std::process::id() == 1 {
            platform::whenever_children_end(|| self.reap()).await;
        }
        std::future::pending().await
    }

    fn reap(&self) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        platform::reap(|id| !ours.contains(&id));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::platform::is_our_zombie;

    #[tokio::test]
    async fn our_own_programs_are_left_to_their_waiters() {
        let reaper = Reaper::default();
        let mut known = reaper.spawn(&mut Command::new("true")).expect("true is everywhere");
        #[expect(clippy::zombie_processes, reason = "the reaper's work is what is tested")]
        let unknown = std::process::Command::new("true").spawn().expect("true is everywhere");
        let (known_id, unknown_id) = (known.id().expect("not waited for"), unknown.id());
        let ended = |id| move || is_our_zombie(id) == Some(true);
        wait_for(ended(known_id)).await;
        wait_for(ended(unknown_id)).await;
        reaper.reap();
        assert_eq!(is_our_zombie(unknown_id), None, "the orphan was not reaped");
        assert!(known.wait().await.expect("still ours").success());
    }

    async fn wait_for(what: impl Fn() -> bool) {
        for _ in 0..500 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen within 5 s");
    }
}
