//! The items that are published and not settled yet: kept whole, so that they can be published again.

use std::collections::VecDeque;

use bytes::Bytes;

use workqueue_core::item::{Item, Position};

/// How an item was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// The broker has confirmed the item of this number.
    Confirmed(u64),
    /// The queue accepts no more items (`basic.nack`).
    Nacked(Position),
    /// No queue took it: it was returned.
    Returned(Position),
}

/// An item in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Its number in the batch, from 1: the second part of its id.
    pub(super) number: u64,
    /// Its bytes.
    pub(super) body: Bytes,
    position: Position,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Returned,
    Settled,
}

/// The items in flight, in the order of their numbers, and so of their delivery tags.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: VecDeque<InFlight>,
    bytes: usize,
    /// Items from the front that were sent on the current channel.
    sent: usize,
    /// The delivery tag of the front item on the current channel; the broker counts from 1.
    front_tag: u64,
    /// The number of the last item added.
    last_number: u64,
}

impl Window {
    /// A window whose first item gets the number after `last_number`.
    pub(super) fn new(last_number: u64) -> Self {
        Self { front_tag: 1, last_number, ..Self::default() }
    }

    /// Items in flight, including those that wait to be sent.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the last item up to which all are settled.
    pub(super) fn settled_up_to(&self) -> u64 {
        self.entries.front().map_or(self.last_number, |front| front.number - 1)
    }

    /// Bytes of their bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an item; it waits to be sent.
    pub(super) fn push(&mut self, item: Item) {
        self.last_number += 1;
        self.bytes += item.body.len();
        let Item { body, position } = item;
        self.entries.push_back(InFlight { number: self.last_number, body, position, state: State::Open });
    }

    /// The next item to be sent.
    pub(super) fn unsent(&self) -> Option<&InFlight> {
        self.entries.get(self.sent)
    }

    /// Notes that the item of [`unsent`](Self::unsent) was sent completely.
    pub(super) fn mark_sent(&mut self) {
        self.sent += 1;
    }

    /// Takes a confirm, and calls `settled` for every item it is about. `false` for a tag that was
    /// never sent.
    pub(super) fn confirm(
        &mut self,
        tag: u64,
        multiple: bool,
        ack: bool,
        mut settled: impl FnMut(Settled),
    ) -> bool {
        // Tag 0 with `multiple` means everything so far.
        let last = match tag.checked_sub(self.front_tag) {
            _ if tag == 0 && multiple => self.sent,
            Some(offset) => usize::try_from(offset).map_or(usize::MAX, |offset| offset.saturating_add(1)),
            // Settled before.
            None => return true,
        };
        if last > self.sent {
            return false;
        }
        let first = if multiple { 0 } else { last - 1 };
        for entry in self.entries.range_mut(first..last) {
            let outcome = match (entry.state, ack) {
                (State::Settled, _) => continue,
                (State::Returned, _) => Settled::Returned(entry.position.clone()),
                (State::Open, true) => Settled::Confirmed(entry.number),
                (State::Open, false) => Settled::Nacked(entry.position.clone()),
            };
            entry.state = State::Settled;
            settled(outcome);
        }
        while let Some(front) = self.entries.front()
            && front.state == State::Settled
        {
            self.bytes -= front.body.len();
            self.entries.pop_front();
            self.sent -= 1;
            self.front_tag += 1;
        }
        true
    }

    /// Notes that an item was returned; its confirm follows.
    pub(super) fn returned(&mut self, number: u64) {
        if let Ok(index) = self.entries.binary_search_by_key(&number, |entry| entry.number)
            && let Some(entry) = self.entries.get_mut(index)
            && entry.state == State::Open
        {
            entry.state = State::Returned;
        }
    }

    /// Starts over on a new channel: everything that is not settled will be sent again. Returns the
    /// number of items that had been sent: each may be in the queue already.
    pub(super) fn restart(&mut self) -> u64 {
        let mut doubtful = 0;
        let mut index = 0;
        let (sent, bytes) = (self.sent, &mut self.bytes);
        self.entries.retain_mut(|entry| {
            doubtful += u64::from(index < sent && entry.state == State::Open);
            index += 1;
            if entry.state == State::Settled {
                *bytes -= entry.body.len();
                return false;
            }
            entry.state = State::Open;
            true
        });
        self.sent = 0;
        self.front_tag = 1;
        doubtful
    }

    /// The broker has closed the channel because of the first item larger than `limit` bytes: it has
    /// ignored what was sent after it.
    pub(super) fn stop_at_larger(&mut self, limit: usize) {
        let large = |entry: &InFlight| entry.state != State::Settled && entry.body.len() > limit;
        self.sent = self.entries.iter().take(self.sent).position(large).unwrap_or(self.sent);
    }

    /// Removes the first sent item that is larger than `limit` bytes.
    pub(super) fn take_larger(&mut self, limit: usize) -> Option<Position> {
        // That item may have been on its way when the broker closed the channel.
        let reach = (self.sent + 1).min(self.entries.len());
        let large = |entry: &InFlight| entry.state != State::Settled && entry.body.len() > limit;
        let index = self.entries.iter().take(reach).position(large)?;
        let entry = self.entries.remove(index)?;
        self.sent -= usize::from(index < self.sent);
        self.bytes -= entry.body.len();
        Some(entry.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(items: u64) -> Window {
        let mut window = Window::new(0);
        for number in 1..=items {
            let body = Bytes::from(vec![b'x'; number as usize]);
            window.push(Item { body, position: Position::Argument(number) });
            window.mark_sent();
        }
        window
    }

    fn confirm(window: &mut Window, tag: u64, multiple: bool, ack: bool) -> Vec<Settled> {
        let mut settled = Vec::new();
        assert!(window.confirm(tag, multiple, ack, |outcome| settled.push(outcome)), "tag {tag}");
        settled
    }

    #[test]
    fn single_and_multiple_confirms_settle_each_item_once() {
        let mut window = window(5);
        assert_eq!(confirm(&mut window, 2, false, true), [Settled::Confirmed(2)]);
        assert_eq!(window.len(), 5, "the first is still in flight, and holds the order");
        assert_eq!(window.settled_up_to(), 0);
        assert_eq!(confirm(&mut window, 3, true, true).len(), 2);
        assert_eq!((window.len(), window.bytes(), window.settled_up_to()), (2, 9, 3));
        assert_eq!(confirm(&mut window, 4, false, false), [Settled::Nacked(Position::Argument(4))]);
        assert_eq!(confirm(&mut window, 5, true, true), [Settled::Confirmed(5)]);
        assert_eq!((window.len(), window.bytes()), (0, 0));
    }

    #[test]
    fn a_returned_item_counts_as_refused_although_it_is_confirmed() {
        let mut window = window(2);
        window.returned(2);
        let expected = [Settled::Confirmed(1), Settled::Returned(Position::Argument(2))];
        assert_eq!(confirm(&mut window, 2, true, true), expected);
    }

    #[test]
    fn after_a_restart_only_what_is_not_settled_goes_out_again() {
        let mut window = window(4);
        window.push(Item { body: Bytes::from_static(b"later"), position: Position::Argument(5) });
        confirm(&mut window, 2, false, true);
        assert_eq!(window.restart(), 3, "items 1, 3 and 4 may be there; 5 was never sent");
        let mut numbers = Vec::new();
        while let Some(entry) = window.unsent() {
            numbers.push(entry.number);
            window.mark_sent();
        }
        assert_eq!(numbers, [1, 3, 4, 5]);
        // Tags start from 1 again.
        assert_eq!(confirm(&mut window, 4, true, true).len(), 4);
        assert_eq!((window.len(), window.bytes()), (0, 0));
    }

    #[test]
    fn confirms_of_what_was_never_sent_are_not_believed() {
        let mut window = window(1);
        assert!(!window.confirm(2, false, true, |_| panic!("nothing is settled")));
        assert!(!window.confirm(u64::MAX, true, true, |_| panic!("nothing is settled")));
    }

    #[test]
    fn the_item_that_is_too_large_is_found_by_the_limit() {
        let mut window = window(4);
        assert_eq!(window.take_larger(2), Some(Position::Argument(3)));
        assert_eq!(window.restart(), 3);
    }
}
