//! Where it is decided whether an item is tried again: by how its program ended and how many attempts
//! are left. The pause before the next attempt is in [`backoff`](super::backoff). A program that could not be
//! started for a passing reason (no memory, no process) counts as one that exited.

use super::program::End;
use workqueue_core::record::{DO_NOT_RETRY, Reason};

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the item is done.
    Done,
    /// Another attempt, after this failure.
    Retry(Reason),
    /// Nothing: the item has failed.
    Failed(Reason),
    /// Nothing here: the worker ended the program, and the item is requeued.
    Abandon,
}

/// Decides after the n-th attempt (n from 1) of an item that may be retried so often.
pub(super) fn next(end: End, attempts: u32, retries: u32) -> Next {
    let failed = |reason| if attempts > retries { Next::Failed(reason) } else { Next::Retry(reason) };
    match end {
        End::Exited(0) | End::Answered => Next::Done,
        End::Exited(DO_NOT_RETRY) | End::RefusedForGood => Next::Failed(Reason::DoNotRetry),
        End::Unstartable => Next::Failed(Reason::Unstartable),
        End::Exited(_) => failed(Reason::Exit),
        End::Signalled(_) => failed(Reason::Signal),
        End::TimedOut(_) => failed(Reason::Timeout),
        End::Refused => failed(Reason::Error),
        End::Stopped => Next::Abandon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_retried_until_no_attempt_is_left() {
        for (end, reason) in [
            (End::Exited(1), Reason::Exit),
            (End::Signalled(9), Reason::Signal),
            (End::TimedOut(Some(15)), Reason::Timeout),
            (End::Refused, Reason::Error),
        ] {
            assert_eq!(next(end, 1, 2), Next::Retry(reason));
            assert_eq!(next(end, 2, 2), Next::Retry(reason));
            assert_eq!(next(end, 3, 2), Next::Failed(reason));
            assert_eq!(next(end, 1, 0), Next::Failed(reason));
        }
    }

    #[test]
    fn some_ends_are_final_at_once() {
        assert_eq!(next(End::Exited(0), 1, 9), Next::Done);
        assert_eq!(next(End::Answered, 1, 9), Next::Done);
        assert_eq!(next(End::RefusedForGood, 1, 9), Next::Failed(Reason::DoNotRetry));
        assert_eq!(next(End::Exited(DO_NOT_RETRY), 1, 9), Next::Failed(Reason::DoNotRetry));
        assert_eq!(next(End::Unstartable, 1, 9), Next::Failed(Reason::Unstartable));
        assert_eq!(next(End::Stopped, 9, 0), Next::Abandon);
    }
}
