//! When to prefetch more items than there are slots: a rule without a queue or a clock of its own.
//!
//! Quick items would leave slots idle while their settlements travel, so more of them are kept ready.
//! Items that are slow, large or stuck behind slow ones are left to other workers.

use std::time::Duration;

use tokio::time::Instant;

/// Items that take less than this on average, in seconds, are quick.
const QUICK: f64 = 0.1;

/// Items that take more than this on average, in seconds, are no longer quick.
const SLOW: f64 = 0.25;

/// Items larger than this on average, in bytes, are not prefetched: a prefetch is a number of items, and
/// up to 256 of them have to fit into memory.
const LIGHT: f64 = 65_536.0;

/// Waiting items are requeued if they are larger than this together, in bytes.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// How long prefetched items may wait while no slot becomes free.
const STALLED: Duration = Duration::from_secs(5);

/// The weight of the latest item in an average.
const WEIGHT: f64 = 0.2;

/// Follows how long items take and how large they are.
#[derive(Debug)]
pub(super) struct Prefetch {
    slots: usize,
    /// Whether the queue prefetches more items than there are slots.
    active: bool,
    /// Averages of seconds and bytes; the latest items count most.
    averages: Option<(f64, f64)>,
    /// When a slot was last taken.
    last_start: Instant,
}

impl Prefetch {
    pub(super) fn new(now: Instant, slots: usize) -> Self {
        Self { slots, active: false, averages: None, last_start: now }
    }

    /// Notes that a program was started.
    pub(super) fn started(&mut self, now: Instant) {
        self.last_start = now;
    }

    /// Notes how long an item took and how large it was. Returns whether to prefetch more items than
    /// there are slots; `None` for no change.
    pub(super) fn finished(&mut self, took: Duration, bytes: usize) -> Option<bool> {
        let (seconds, bytes) = (took.as_secs_f64(), bytes as f64);
        let average = |before: f64, last: f64| before + WEIGHT * (last - before);
        let (before_seconds, before_bytes) = self.averages.unwrap_or((seconds, bytes));
        let (seconds, bytes) = (average(before_seconds, seconds), average(before_bytes, bytes));
        self.averages = Some((seconds, bytes));
        if seconds < QUICK && bytes < LIGHT {
            Some(true)
        } else if seconds > SLOW || bytes > LIGHT {
            Some(false)
        } else {
            None
        }
    }

    /// Notes whether the queue prefetches more items than there are slots.
    pub(super) fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    /// Whether an item of this size that has just arrived is too much, together with all that wait.
    pub(super) fn is_too_much(&self, bytes: usize, waiting_bytes: impl FnOnce() -> usize) -> bool {
        self.active && bytes as f64 > LIGHT && waiting_bytes() > MAX_WAITING_BYTES
    }

    /// When the items that wait have waited for too long. As many as there are slots do not count: every
    /// worker holds as many, and they might come back at once if they were requeued.
    pub(super) fn stalls_at(&self, waiting: usize) -> Option<Instant> {
        (self.active && waiting > self.slots).then_some(self.last_start + STALLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(2);

    fn prefetch() -> (Prefetch, Instant) {
        let now = Instant::now();
        (Prefetch::new(now, 2), now)
    }

    #[test]
    fn quick_light_items_are_prefetched_from_the_first_on() {
        let (mut prefetch, _) = prefetch();
        assert_eq!(prefetch.finished(SHORT, 100), Some(true));
    }

    #[test]
    fn slow_items_end_it_and_the_average_needs_time_to_recover() {
        let (mut prefetch, _) = prefetch();
        assert_eq!(prefetch.finished(SHORT, 100), Some(true));
        assert_eq!(prefetch.finished(LONG, 100), Some(false));
        let answers: Vec<_> = (0..20).map(|_| prefetch.finished(SHORT, 100)).collect();
        assert_eq!(answers[0], Some(false));
        assert!(answers.contains(&None), "between quick and slow nothing changes");
        assert_eq!(answers[19], Some(true));
    }

    #[test]
    fn large_items_are_not_prefetched_however_quick() {
        let (mut prefetch, _) = prefetch();
        assert_eq!(prefetch.finished(SHORT, 1 << 20), Some(false));
    }

    #[test]
    fn large_items_that_wait_are_too_much_together() {
        let (mut prefetch, _) = prefetch();
        assert!(!prefetch.is_too_much(1 << 20, || usize::MAX), "only as many as there are slots");
        prefetch.set_active(true);
        assert!(prefetch.is_too_much(1 << 20, || MAX_WAITING_BYTES + 1));
        assert!(!prefetch.is_too_much(1 << 20, || MAX_WAITING_BYTES));
        assert!(!prefetch.is_too_much(100, || panic!("small items are not even counted")));
    }

    #[test]
    fn items_stall_behind_programs_that_do_not_end() {
        let (mut prefetch, now) = prefetch();
        assert_eq!(prefetch.stalls_at(3), None);
        prefetch.set_active(true);
        assert_eq!(prefetch.stalls_at(2), None, "as many as there are slots");
        assert_eq!(prefetch.stalls_at(3), Some(now + STALLED));
        prefetch.started(now + LONG);
        assert_eq!(prefetch.stalls_at(3), Some(now + LONG + STALLED));
    }
}
