//! Children of this process that others have left behind. PID 1 has to reap them.
//!
//! `waitpid` for any child would steal the exit statuses of our own programs from their waiters, so the
//! processes to reap are looked up in /proc. Systems without one have no containers either.

use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// The shortest time between two scans of /proc.
const SCAN_EVERY: Duration = Duration::from_millis(200);

/// Does something whenever children have ended. Returns only if that cannot be known.
pub(crate) async fn whenever_children_end(act: impl Fn()) {
    let Ok(mut child_ended) = signal(SignalKind::child()) else { return };
    while child_ended.recv().await.is_some() {
        act();
        tokio::time::sleep(SCAN_EVERY).await;
    }
}

/// Reaps the children that have ended and that are orphans.
pub(crate) fn reap(is_orphan: impl Fn(u32) -> bool) {
    for id in zombies().filter(|id| is_orphan(*id)) {
        if let Some(id) = Pid::from_raw(id.cast_signed()) {
            // If it fails, somebody else has reaped it.
            waitpid(Some(id), WaitOptions::NOHANG).ok();
        }
    }
}

/// Our children that have ended and wait to be reaped.
fn zombies() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| is_our_zombie(*id).unwrap_or(false))
}

/// proc(5): after the name, in parentheses and of any characters, come state and parent.
pub(crate) fn is_our_zombie(id: u32) -> Option<bool> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?);
    Some(state == "Z" && parent.parse() == Ok(std::process::id()))
}
