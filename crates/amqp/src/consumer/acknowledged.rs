//! Which deliveries of a session's channel are settled, so that one ack can stand for several.

use std::collections::BTreeSet;

/// AMQP acknowledges all deliveries up to a tag at once. That is right only if none of them is left that the
/// worker still holds, or that has not reached it yet: all tags up to that one must be settled.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// All tags up to this one are settled. The first tag is 1.
    up_to: u64,
    /// Settled tags beyond it.
    beyond: BTreeSet<u64>,
}

impl Acknowledged {
    /// Notes tags that are being settled. Returns the tag up to which all are settled now.
    pub(super) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> u64 {
        self.beyond.extend(tags);
        while self.beyond.first() == Some(&(self.up_to + 1)) {
            self.up_to += 1;
            self.beyond.pop_first();
        }
        self.up_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_is_held_or_on_its_way_is_never_among_them() {
        let mut acknowledged = Acknowledged::default();
        assert_eq!(acknowledged.settle([1, 2]), 2);
        assert_eq!(acknowledged.settle([5, 4]), 2);
        assert_eq!(acknowledged.settle([7]), 2);
        assert_eq!(acknowledged.settle([3]), 5);
        assert_eq!(acknowledged.settle([]), 5);
        assert_eq!(acknowledged.settle([6]), 7);
    }
}
