//! What is left of the outputs once a run has ended: nothing, some to collect, or what another reader holds.

use std::time::Duration;

use tokio::time::Instant;

use workqueue_amqp::consumer::DEAD_AFTER;
use workqueue_amqp::topology::Depth;

/// How long a reader that is dead may hold outputs: until the broker must have noticed.
pub(super) const LOST_FOR: Duration = Duration::from_secs(DEAD_AFTER.as_secs() + 15);

/// What there is to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    /// All outputs were collected.
    Nothing,
    /// Some wait.
    Some,
    /// None wait, and another reader may hold some, until it leaves or the broker notices that it is dead.
    Held,
    /// It is alive, and may hold all of them: they must not be deleted.
    Kept,
}

/// Judges one look after the other.
#[derive(Debug, Default)]
pub(super) struct RemainsWatch {
    held_since: Option<Instant>,
}

impl RemainsWatch {
    pub(super) fn judge(&mut self, depth: Depth, now: Instant) -> Remains {
        if depth.ready > 0 || depth.consumers == 0 {
            self.held_since = None;
            return if depth.ready > 0 { Remains::Some } else { Remains::Nothing };
        }
        let since = *self.held_since.get_or_insert(now);
        if now.duration_since(since) > LOST_FOR { Remains::Kept } else { Remains::Held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_a_living_reader_holds_are_waited_for_and_then_left_to_it() {
        let mut watch = RemainsWatch::default();
        let start = Instant::now();
        let mut judge = |ready, consumers, seconds| {
            watch.judge(Depth { ready, consumers }, start + Duration::from_secs(seconds))
        };
        let most = LOST_FOR.as_secs();
        assert_eq!(judge(3, 1, 0), Remains::Some);
        assert_eq!(judge(0, 1, 1), Remains::Held, "it may be this process's lost connection");
        assert_eq!(judge(0, 1, 1 + most), Remains::Held);
        assert_eq!(judge(2, 1, 2 + most), Remains::Some, "it has left, and they have come back");
        assert_eq!(judge(0, 1, 3 + most), Remains::Held, "another one");
        assert_eq!(judge(0, 1, 4 + 2 * most), Remains::Kept);
        assert_eq!(judge(0, 0, 5 + 2 * most), Remains::Nothing);
    }
}
