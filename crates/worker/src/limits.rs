//! How many programs this process can run at a time: each takes file descriptors, and the system may
//! refuse more processes.

use crate::platform::raise_open_files;

use super::plan::WorkerPlan;

/// Descriptors that each item takes that runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerItem(u64);

impl PerItem {
    /// Three pipes and a handle of the process; and what a program that stays takes: a listener, a
    /// connection or two, and another handle of its pipe. Two more with outputs in files.
    pub fn of(plan: &WorkerPlan) -> Self {
        let program = if plan.runtime.is_some() { 7 } else { 4 };
        let in_files = plan.capture.is_some() || plan.grouped;
        Self(if in_files { program + 2 } else { program })
    }
}

/// Descriptors for everything else that is opened meanwhile: the start of a program takes some for a
/// moment, and connections are made again.
const SPARE: u64 = 24;

/// As many programs as fit, at most `wanted` and at least 1, and why these are fewer. Raises the soft
/// limit of open files as far as it is necessary and the hard one allows.
pub fn fit(wanted: usize, PerItem(each): PerItem) -> (usize, Option<String>) {
    // Without /proc, those of a process that has just started.
    let open = std::fs::read_dir("/proc/self/fd").map_or(16, |entries| entries.count() as u64);
    let needed = open + SPARE + wanted as u64 * each;
    let limit = raise_open_files(needed);
    let fits = (limit.saturating_sub(open + SPARE) / each).max(1) as usize;
    if fits >= wanted {
        return (wanted, None);
    }
    let reason = format!("the limit of {limit} open files (ulimit -n) allows {fits} at a time, not {wanted}");
    (fits, Some(reason))
}
