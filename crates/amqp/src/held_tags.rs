//! Which messages a reader holds, and in which steps they are requeued.

/// The delivery tags of the messages that are held: a bit for each, from tag 1 on.
#[derive(Debug, Default)]
pub(crate) struct HeldTags(Vec<u32>);

impl HeldTags {
    /// The word and the bit of a tag.
    fn position(tag: u64) -> (usize, u32) {
        let index = tag.saturating_sub(1);
        ((index / 32) as usize, 1 << (index % 32))
    }

    pub fn insert(&mut self, tag: u64) {
        let (word, bit) = Self::position(tag);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub fn remove(&mut self, tag: u64) {
        let (word, bit) = Self::position(tag);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// The steps in which to requeue: the tag up to which each goes, and its number of messages.
    ///
    /// Small steps, since a quorum queue collects the messages of one nack in an Erlang map, which
    /// keeps the order of up to 32 keys only (measured on 3.10 and 4.0).
    pub fn steps(&self) -> impl Iterator<Item = (u64, u32)> {
        let words = (0..).zip(&self.0).filter(|(_, bits)| **bits != 0);
        words.map(|(word, bits): (u64, &u32)| {
            (word * 32 + u64::from(32 - bits.leading_zeros()), bits.count_ones())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::HeldTags;

    #[test]
    fn held_messages_are_requeued_in_small_steps_that_end_at_a_held_message() {
        let mut held = HeldTags::default();
        assert_eq!(held.steps().count(), 0);
        (1..=100).for_each(|tag| held.insert(tag));
        assert_eq!(held.steps().collect::<Vec<_>>(), [(32, 32), (64, 32), (96, 32), (100, 4)]);
        // The broker no longer knows the tags of acknowledged messages.
        (60..=96).for_each(|tag| held.remove(tag));
        held.remove(100);
        held.remove(1000);
        assert_eq!(held.steps().collect::<Vec<_>>(), [(32, 32), (59, 27), (99, 3)]);
    }
}
