//! When a worker may leave: the rule of `--once` and `--drain`, without a queue or a clock of its own.
//! `docs/design/draining.md` shows why it strands no item and no worker waits forever.

use std::time::Duration;

use tokio::time::Instant;

use workqueue_core::queue::QueueCounts;

/// How long a worker without items waits for some before it steps aside: it stops consuming.
const QUIET: Duration = Duration::from_secs(1);

/// Pause between two counts while it is aside.
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// Counts in a row that must find neither items nor other workers: an item that another worker requeues
/// just as it leaves may be on its way during the first one.
const EMPTY_COUNTS: u32 = 2;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainStep {
    /// Nothing before this point in time, unless something happens.
    WaitUntil(Instant),
    /// Nothing, until something happens.
    Wait,
    /// Stop consuming, then count.
    Aside,
    /// Count what is in the queue and who consumes.
    Count,
    /// Consume again.
    Return,
    /// Leave: there is nothing left to do.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Busy,
    Quiet { since: Instant },
    Aside { next_count: Instant, empty: u32 },
}

/// Follows what happens and says when to leave.
#[derive(Debug)]
pub(super) struct Drain {
    /// When this worker may leave although others still hold items.
    may_leave_others: Instant,
    state: State,
}

impl Drain {
    /// A worker that starts now, and stays for `linger` at least while others hold items.
    pub(super) fn new(now: Instant, linger: Duration) -> Self {
        Self { may_leave_others: now + linger, state: State::Quiet { since: now } }
    }

    /// A worker that starts now, and counts before it takes anything.
    pub(super) fn aside(now: Instant, linger: Duration) -> Self {
        Self { may_leave_others: now + linger, state: State::Aside { next_count: now, empty: 0 } }
    }

    /// The next step of a worker that holds items, or does not.
    pub(super) fn step(&mut self, now: Instant, holds_items: bool) -> DrainStep {
        match &mut self.state {
            // An item came while the worker stepped aside.
            State::Aside { .. } if holds_items => {
                self.state = State::Busy;
                DrainStep::Return
            }
            _ if holds_items => {
                self.state = State::Busy;
                DrainStep::Wait
            }
            State::Busy => {
                self.state = State::Quiet { since: now };
                DrainStep::WaitUntil(now + QUIET)
            }
            State::Quiet { since } if now < *since + QUIET => DrainStep::WaitUntil(*since + QUIET),
            State::Quiet { .. } => {
                self.state = State::Aside { next_count: now, empty: 0 };
                DrainStep::Aside
            }
            State::Aside { next_count, .. } if now < *next_count => DrainStep::WaitUntil(*next_count),
            State::Aside { next_count, .. } => {
                // Set before the answer arrives, which may be lost with its session: then it counts
                // again.
                *next_count = now + COUNT_EVERY;
                DrainStep::Count
            }
        }
    }

    /// Takes the counts.
    pub(super) fn seen(&mut self, now: Instant, counts: QueueCounts) -> DrainStep {
        let State::Aside { next_count, empty } = &mut self.state else { return DrainStep::Wait };
        if counts.ready > 0 {
            self.state = State::Quiet { since: now };
            return DrainStep::Return;
        }
        if counts.input_goes_on {
            *empty = 0;
            return DrainStep::WaitUntil(*next_count);
        }
        if counts.consumers > 0 {
            *empty = 0;
            return if now >= self.may_leave_others {
                DrainStep::Leave
            } else {
                DrainStep::WaitUntil(*next_count)
            };
        }
        *empty += 1;
        if *empty >= EMPTY_COUNTS { DrainStep::Leave } else { DrainStep::WaitUntil(*next_count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: QueueCounts = QueueCounts { ready: 0, consumers: 0, failed: 0, input_goes_on: false };
    const OTHERS: QueueCounts = QueueCounts { consumers: 3, ..EMPTY };
    const ITEMS: QueueCounts = QueueCounts { ready: 2, consumers: 1, ..EMPTY };
    const OPEN: QueueCounts = QueueCounts { input_goes_on: true, ..EMPTY };

    fn aside(linger: u64) -> (Drain, Instant) {
        let start = Instant::now();
        let mut drain = Drain::new(start, Duration::from_secs(linger));
        assert_eq!(drain.step(start, false), DrainStep::WaitUntil(start + QUIET));
        assert_eq!(drain.step(start + QUIET, false), DrainStep::Aside);
        assert_eq!(drain.step(start + QUIET, false), DrainStep::Count);
        (drain, start + QUIET)
    }

    #[test]
    fn a_worker_waits_for_the_end_of_the_input() {
        let (mut drain, now) = aside(0);
        for second in 0..9999 {
            let counts = if second % 2 == 0 { OPEN } else { QueueCounts { consumers: 3, ..OPEN } };
            let step = drain.seen(now + Duration::from_secs(second), counts);
            assert!(matches!(step, DrainStep::WaitUntil(_)), "{step:?}");
        }
        let later = now + Duration::from_secs(9999);
        assert!(matches!(drain.seen(later, EMPTY), DrainStep::WaitUntil(_)));
        assert_eq!(drain.seen(later, EMPTY), DrainStep::Leave);
    }

    #[test]
    fn a_worker_with_items_never_leaves() {
        let now = Instant::now();
        let mut drain = Drain::new(now, Duration::ZERO);
        assert_eq!(drain.step(now, true), DrainStep::Wait);
        assert_eq!(drain.step(now + Duration::from_secs(9999), true), DrainStep::Wait);
        assert_eq!(drain.seen(now, EMPTY), DrainStep::Wait);
    }

    #[test]
    fn a_queue_found_empty_twice_without_others_is_left() {
        let (mut drain, now) = aside(60);
        let next = now + COUNT_EVERY;
        assert_eq!(drain.seen(now, EMPTY), DrainStep::WaitUntil(next));
        assert_eq!(drain.step(next, false), DrainStep::Count);
        assert_eq!(drain.seen(next, EMPTY), DrainStep::Leave);
    }

    #[test]
    fn while_others_hold_items_a_young_worker_stays_and_an_old_one_leaves() {
        let (mut drain, now) = aside(60);
        assert_eq!(drain.seen(now, OTHERS), DrainStep::WaitUntil(now + COUNT_EVERY));
        let old = now + Duration::from_secs(60);
        assert_eq!(drain.step(old, false), DrainStep::Count);
        assert_eq!(drain.seen(old, OTHERS), DrainStep::Leave);
    }

    #[test]
    fn only_empty_counts_in_a_row_matter() {
        let (mut drain, now) = aside(60);
        drain.seen(now, EMPTY);
        let next = now + COUNT_EVERY;
        assert_eq!(drain.step(next, false), DrainStep::Count);
        assert!(matches!(drain.seen(next, OTHERS), DrainStep::WaitUntil(_)));
        assert_eq!(drain.step(next + COUNT_EVERY, false), DrainStep::Count);
        assert!(matches!(drain.seen(next + COUNT_EVERY, EMPTY), DrainStep::WaitUntil(_)));
    }

    #[test]
    fn items_bring_the_worker_back() {
        let (mut drain, now) = aside(0);
        assert_eq!(drain.seen(now, ITEMS), DrainStep::Return);
        let (mut drain, now) = aside(0);
        assert_eq!(drain.step(now, true), DrainStep::Return);
        assert_eq!(drain.step(now, true), DrainStep::Wait);
    }

    #[test]
    fn a_count_without_an_answer_is_repeated() {
        let (mut drain, now) = aside(60);
        assert_eq!(drain.step(now, false), DrainStep::WaitUntil(now + COUNT_EVERY));
        assert_eq!(drain.step(now + COUNT_EVERY, false), DrainStep::Count);
    }
}
