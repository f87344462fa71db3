//! Reaps orphans, as PID 1 has to: processes whose parents have died become our children.
//!
//! `waitpid` for any child would steal the exit statuses of our own programs from their waiters, so the
//! processes to reap are looked up in /proc.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// The shortest time between two scans of /proc.
const SCAN_EVERY: Duration = Duration::from_millis(200);

/// Knows our own programs, and so which children are orphans of others.
#[derive(Debug, Clone, Default)]
pub struct Reaper {
    ours: Arc<Mutex<HashSet<i32>>>,
}

impl Reaper {
    /// Starts a program and remembers it. A lock is held meanwhile, so that a program which ends
    /// at once is not taken for an orphan.
    pub(super) fn spawn(&self, command: &mut Command) -> std::io::Result<Child> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        if let Some(id) = child.id() {
            ours.insert(id.cast_signed());
        }
        Ok(child)
    }

    /// Forgets a program that has been waited for.
    pub(super) fn forget(&self, id: Pid) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.remove(&id.as_raw_nonzero().get());
    }

    /// Reaps orphans forever, if this process is PID 1.
    pub async fn run(self) {
        if std::process::id() != 1 {
            return std::future::pending().await;
        }
        let Ok(mut child_ended) = signal(SignalKind::child()) else {
            return std::future::pending().await;
        };
        loop {
            child_ended.recv().await;
            self.reap();
            tokio::time::sleep(SCAN_EVERY).await;
        }
    }

    fn reap(&self) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        for id in zombies() {
            if let (false, Some(id)) = (ours.contains(&id), Pid::from_raw(id)) {
                // If it fails, somebody else has reaped it.
                waitpid(Some(id), WaitOptions::NOHANG).ok();
            }
        }
    }
}

/// Our children that have ended and wait to be reaped.
fn zombies() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| is_our_zombie(*id).unwrap_or(false)).collect()
}

/// proc(5): after the name, in parentheses and of any characters, come state and parent.
fn is_our_zombie(id: i32) -> Option<bool> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?);
    Some(state == "Z" && parent.parse() == Ok(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_own_programs_are_left_to_their_waiters() {
        let reaper = Reaper::default();
        let mut known = reaper.spawn(&mut Command::new("true")).expect("true is everywhere");
        #[expect(clippy::zombie_processes, reason = "the reaper's work is what is tested")]
        let unknown = std::process::Command::new("true").spawn().expect("true is everywhere");
        let (known_id, unknown_id) =
            (known.id().expect("not waited for").cast_signed(), unknown.id().cast_signed());
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
