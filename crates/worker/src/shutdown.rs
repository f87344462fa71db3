//! How a worker shuts down, by signals, a halt and time: a rule without a queue or a clock of its own.
//!
//! A first signal lets running items finish within the grace period, a second one does not. A halt is
//! like a first signal, or ends what runs at once. At the deadline programs are ended; at the next one
//! the worker goes in any case.

use std::time::Duration;

use tokio::time::Instant;

use super::group::Urgency;
use super::halt::HaltWhen;

/// How long finished items may take to be settled after a second signal, and the programs to end.
pub(super) const HASTE: Duration = Duration::from_secs(1);

/// How long finished items may take to be settled after the grace period.
const SETTLE_GRACE: Duration = Duration::from_secs(4);

/// Follows what ends the worker.
#[derive(Debug)]
pub(super) struct Shutdown {
    grace: Duration,
    stopped: bool,
    halted: bool,
    urgency: Urgency,
    deadline: Option<Instant>,
}

impl Shutdown {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, stopped: false, halted: false, urgency: Urgency::None, deadline: None }
    }

    /// Whether no further items are started.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopped || self.halted
    }

    /// How much running programs have to hurry.
    pub(super) fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// When to call [`out_of_time`](Self::out_of_time).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes a signal. Returns whether it is the first one, which decides how the worker ends; a
    /// program that is being ended already has no grace period left.
    pub(super) fn signal(&mut self, now: Instant) -> bool {
        if self.stopped || self.urgency >= Urgency::End {
            self.urgency = Urgency::Now;
            self.deadline = Some(now + HASTE);
            return false;
        }
        self.stopped = true;
        self.urgency = Urgency::Finish;
        self.deadline = Some(now + self.grace);
        true
    }

    /// Halts, unless the worker is stopping already. Returns whether it does.
    pub(super) fn halt(&mut self, now: Instant, when: HaltWhen) -> bool {
        if self.is_stopping() {
            return false;
        }
        self.halted = true;
        match when {
            HaltWhen::Soon => self.urgency = Urgency::Finish,
            HaltWhen::Now => {
                self.urgency = Urgency::End;
                self.deadline = Some(now + SETTLE_GRACE);
            }
        }
        true
    }

    /// The deadline has passed. Returns whether the worker has to go now; otherwise programs are ended.
    pub(super) fn out_of_time(&mut self, now: Instant) -> bool {
        if self.urgency >= Urgency::End {
            return true;
        }
        self.urgency = Urgency::End;
        self.deadline = Some(now + SETTLE_GRACE);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(25);

    fn shutdown() -> (Shutdown, Instant) {
        (Shutdown::new(GRACE), Instant::now())
    }

    #[test]
    fn a_first_signal_gives_the_grace_period_and_then_some_time_to_settle() {
        let (mut shutdown, now) = shutdown();
        assert!(!shutdown.is_stopping());
        assert!(shutdown.signal(now));
        assert!(shutdown.is_stopping());
        assert_eq!((shutdown.urgency(), shutdown.deadline()), (Urgency::Finish, Some(now + GRACE)));
        let later = now + GRACE;
        assert!(!shutdown.out_of_time(later));
        assert_eq!((shutdown.urgency(), shutdown.deadline()), (Urgency::End, Some(later + SETTLE_GRACE)));
        assert!(shutdown.out_of_time(later + SETTLE_GRACE));
    }

    #[test]
    fn a_second_signal_ends_everything_at_once() {
        let (mut shutdown, now) = shutdown();
        shutdown.signal(now);
        assert!(!shutdown.signal(now));
        assert_eq!((shutdown.urgency(), shutdown.deadline()), (Urgency::Now, Some(now + HASTE)));
        assert!(shutdown.out_of_time(now + HASTE));
    }

    #[test]
    fn a_halt_lets_programs_finish_or_ends_them() {
        let (mut shutdown, now) = shutdown();
        assert!(shutdown.halt(now, HaltWhen::Soon));
        assert_eq!((shutdown.urgency(), shutdown.deadline()), (Urgency::Finish, None));
        assert!(!shutdown.halt(now, HaltWhen::Now), "it halts once");
        let mut shutdown = Shutdown::new(GRACE);
        assert!(shutdown.halt(now, HaltWhen::Now));
        assert_eq!((shutdown.urgency(), shutdown.deadline()), (Urgency::End, Some(now + SETTLE_GRACE)));
    }

    #[test]
    fn a_signal_after_a_halt_is_a_first_one_unless_programs_are_being_ended() {
        let (mut shutdown, now) = shutdown();
        shutdown.halt(now, HaltWhen::Soon);
        assert!(shutdown.signal(now));
        let mut shutdown = Shutdown::new(GRACE);
        shutdown.halt(now, HaltWhen::Now);
        assert!(!shutdown.signal(now));
        assert_eq!(shutdown.urgency(), Urgency::Now);
    }

    #[test]
    fn a_worker_that_was_stopped_does_not_halt() {
        let (mut shutdown, now) = shutdown();
        shutdown.signal(now);
        assert!(!shutdown.halt(now, HaltWhen::Now));
        assert_eq!(shutdown.urgency(), Urgency::Finish);
    }
}
