//! In which order outputs are printed, and each once: as they come, or in the order of the items.

mod position;
mod printer;
mod progress;
mod spool;

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Error;
pub(crate) use position::Position;
pub(crate) use printer::Printer;
pub use printer::SharedSink;
pub(crate) use progress::PrintProgress;
pub(crate) use spool::Spool;
use workqueue_core::ledger::ItemId;
use workqueue_core::output::OutputEntry;
use workqueue_core::record::Status;

/// Prints items, each as a whole.
pub trait ItemSink {
    /// Whether there is something to print of an item.
    fn wants(&self, entry: &OutputEntry) -> bool;

    /// Prints an item. Returns false if nobody reads any more.
    fn print(&self, entry: &OutputEntry) -> bool;
}

impl<S: ItemSink + ?Sized> ItemSink for &S {
    fn wants(&self, entry: &OutputEntry) -> bool {
        (**self).wants(entry)
    }

    fn print(&self, entry: &OutputEntry) -> bool {
        (**self).print(entry)
    }
}

impl<S: ItemSink + ?Sized> ItemSink for Arc<S> {
    fn wants(&self, entry: &OutputEntry) -> bool {
        (**self).wants(entry)
    }

    fn print(&self, entry: &OutputEntry) -> bool {
        (**self).print(entry)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    /// All of it is printed, or waits in a file: it can be removed from the broker.
    All,
    /// Not all: nobody reads any more, or the printing was stopped.
    Unread,
}

/// Prints items in some order.
pub(crate) struct Printing<S> {
    sink: S,
    pub position: Position,
    progress: Arc<PrintProgress>,
    /// The order of the items; `None` for that in which they come.
    order: Option<Order>,
    /// Outputs that were left out, since that item's had been printed.
    pub repeated: u64,
}

/// The order of the items of a batch.
pub(crate) struct Order {
    /// The batch, whose items have the ids `BATCH.N`; `None` for items whose ids are their numbers. Others
    /// are printed as they come.
    batch: Option<String>,
    /// The number of the next item.
    next: u32,
    /// Numbers that nobody works on.
    skip: HashSet<u64>,
    spool: Spool,
}

impl Order {
    pub(crate) fn new(batch: Option<String>, spool: Spool) -> Self {
        Self { batch, next: 1, skip: HashSet::new(), spool }
    }

    /// The same, without waiting for the items of these numbers.
    #[must_use]
    pub(crate) fn skipping(self, skip: HashSet<u64>) -> Self {
        Self { skip, ..self }
    }

    fn number(&self, id: &str) -> Option<u32> {
        match &self.batch {
            Some(batch) => ItemId::parse(id).filter(|item| item.batch == batch).map(|item| item.number),
            None => id.parse().ok(),
        }
    }

    fn id(&self, number: u32) -> String {
        match &self.batch {
            Some(batch) => format!("{batch}.{number}"),
            None => number.to_string(),
        }
    }
}

impl<S: ItemSink> Printing<S> {
    pub(crate) fn new(sink: S, position: Position, order: Option<Order>) -> Self {
        let printing = Self { sink, position, progress: Arc::default(), order, repeated: 0 };
        printing.count();
        printing
    }

    /// Tells others how far it has come.
    fn count(&self) {
        self.progress.set_printed(self.position.count());
        self.progress.set_waiting(self.order.as_ref().map_or(0, |order| order.spool.len()));
    }

    /// Takes the entries of a message.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(crate) fn take(&mut self, entries: &[OutputEntry]) -> Result<Took, Error> {
        let mut spooled = false;
        for entry in entries {
            if self.is_printed(entry) {
                self.repeated += 1;
                continue;
            }
            let waits = self.order.as_ref().and_then(|order| Some((order.number(&entry.id)?, order.next)));
            match waits {
                Some((number, next)) if number > next => {
                    spooled = true;
                    self.spool(number, entry)?;
                }
                _ => {
                    if self.print(entry)? == Took::Unread {
                        return Ok(Took::Unread);
                    }
                }
            }
            if self.print_next()? == Took::Unread {
                return Ok(Took::Unread);
            }
        }
        if let Some(order) = self.order.as_ref().filter(|_| spooled) {
            order.spool.sync()?;
        }
        Ok(Took::All)
    }

    fn spool(&mut self, number: u32, entry: &OutputEntry) -> Result<(), Error> {
        let Some(order) = &mut self.order else { return Ok(()) };
        // Done beats failed: a failure may wait when the item is tried again, and succeeds.
        let waits = order.spool.status(number);
        if waits == Some(Status::Done) || waits == Some(entry.status) {
            self.repeated += 1;
            return Ok(());
        }
        order.spool.put(number, entry)?;
        self.count();
        Ok(())
    }

    /// Prints what has waited for the items before it.
    fn print_next(&mut self) -> Result<Took, Error> {
        loop {
            let Some(order) = &mut self.order else { return Ok(Took::All) };
            let next = order.next;
            let (id, printed) = (order.id(next), self.position.printed());
            let is_late_success = !printed.contains(&id) && order.spool.status(next) == Some(Status::Done);
            let is_skipped = order.skip.contains(&next.into());
            let is_printed = printed.contains(&id) || printed.contains(&failed(&id));
            if (is_printed || is_skipped) && !is_late_success {
                order.next += 1;
                order.spool.forget(next)?;
                self.count();
                continue;
            }
            let Some(entry) = order.spool.get(next)? else { return Ok(Took::All) };
            if self.print(&entry)? == Took::Unread {
                return Ok(Took::Unread);
            }
        }
    }

    /// Prints everything that still waits, in its order: nothing more will come.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub(crate) fn finish(&mut self) -> Result<Took, Error> {
        loop {
            if self.print_next()? == Took::Unread {
                return Ok(Took::Unread);
            }
            let Some(order) = &mut self.order else { return Ok(Took::All) };
            let Some(first) = order.spool.first() else { return Ok(Took::All) };
            order.next = first;
        }
    }

    /// Prints an item, and saves that it was.
    fn print(&mut self, entry: &OutputEntry) -> Result<Took, Error> {
        if self.progress.is_stopped() {
            return Ok(Took::Unread);
        }
        let key = key(entry);
        if self.sink.wants(entry) {
            self.position.begin(&key)?;
            self.progress.set_begun(Some(&entry.id));
            let is_read = self.sink.print(entry);
            self.progress.set_begun(None);
            if !is_read {
                return Ok(Took::Unread);
            }
        }
        self.position.end(&key)?;
        self.count();
        Ok(Took::All)
    }

    fn is_printed(&self, entry: &OutputEntry) -> bool {
        // Done beats failed: a failure that comes later is none.
        self.position.printed().contains(&key(entry)) || self.position.printed().contains(&entry.id)
    }

    /// Whether items are printed in their order.
    pub(crate) fn keeps_order(&self) -> bool {
        self.order.is_some()
    }

    /// Deletes what was saved: everything was printed.
    pub(crate) fn remove(self) {
        self.position.remove();
        if let Some(order) = self.order {
            order.spool.remove();
        }
    }
}

/// The name under which an entry is noted: an item that has failed may be done later.
fn key(entry: &OutputEntry) -> String {
    match entry.status {
        Status::Done => entry.id.clone(),
        Status::Failed => failed(&entry.id),
    }
}

fn failed(id: &str) -> String {
    format!("{id} failed")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Prints ids; nobody reads more than so many.
    struct Printed(Mutex<Vec<String>>, usize);

    impl ItemSink for Printed {
        fn wants(&self, _: &OutputEntry) -> bool {
            true
        }

        fn print(&self, entry: &OutputEntry) -> bool {
            let mut printed = self.0.lock().expect("not poisoned");
            let is_read = printed.len() < self.1;
            if is_read {
                printed.push(entry.id.split_once('.').map_or("?", |(_, number)| number).to_owned());
            }
            is_read
        }
    }

    fn entries(numbers: &[u32]) -> Vec<OutputEntry> {
        let entry = |number: &u32| OutputEntry {
            id: format!("k2x9bcdf.{number}"),
            status: if number.is_multiple_of(10) { Status::Failed } else { Status::Done },
            item: None,
            written: 0,
            output: Vec::new(),
        };
        numbers.iter().map(entry).collect()
    }

    /// Prints messages; the process is killed after each.
    fn print(name: &str, in_order: bool, messages: &[&[u32]], readable: usize) -> (Vec<String>, u64) {
        let directory =
            std::env::temp_dir().join(format!("workqueue-printing-{}-{name}", std::process::id()));
        let sink = Printed(Mutex::default(), readable);
        let mut repeated = 0;
        for (number, message) in messages.iter().enumerate() {
            let position = Position::open_in(&directory, "r1", false).expect("writable");
            let order = || {
                Order::new(Some("k2x9bcdf".to_owned()), Spool::open(&directory.join("s")).expect("writable"))
            };
            let mut printing = Printing::new(&sink, position, in_order.then(order));
            let took = printing.take(&entries(message)).expect("writable");
            if took == Took::All && number + 1 == messages.len() {
                printing.finish().expect("writable");
            }
            repeated += printing.repeated;
        }
        std::fs::remove_dir_all(&directory).expect("removable");
        (sink.0.into_inner().expect("not poisoned"), repeated)
    }

    #[test]
    fn items_are_printed_once_as_they_come_whatever_is_delivered_again() {
        let (printed, repeated) = print("come", false, &[&[3, 1], &[1, 2], &[3, 10], &[10]], usize::MAX);
        assert_eq!((printed.join(" ").as_str(), repeated), ("3 1 2 10", 3));
    }

    #[test]
    fn items_are_printed_in_their_order_and_failed_ones_hold_up_nobody() {
        let messages: [&[u32]; 6] = [&[3, 5, 2], &[3, 2], &[1], &[12, 11, 9, 8, 7], &[6, 4], &[10]];
        let (printed, repeated) = print("order", true, &messages, usize::MAX);
        assert_eq!((printed.join(" ").as_str(), repeated), ("1 2 3 4 5 6 7 8 9 10 11 12", 2));
    }

    #[test]
    fn what_waits_for_an_item_that_never_comes_is_printed_at_the_end() {
        let (printed, _) = print("gap", true, &[&[9, 4], &[1, 7]], usize::MAX);
        assert_eq!(printed.join(" "), "1 4 7 9");
    }

    #[test]
    fn an_item_that_succeeds_after_it_has_failed_is_printed_wherever_its_failure_is() {
        let directory = std::env::temp_dir().join(format!("workqueue-late-success-{}", std::process::id()));
        let sink = Printed(Mutex::default(), usize::MAX);
        let open = || {
            let spool = Spool::open(&directory.join("s")).expect("writable");
            let order = Order::new(Some("k2x9bcdf".to_owned()), spool);
            Printing::new(&sink, Position::open_in(&directory, "r1", false).expect("writable"), Some(order))
        };
        let done = |number| [OutputEntry { status: Status::Done, ..entries(&[number]).remove(0) }];
        std::fs::create_dir_all(&directory).expect("writable");
        let mut printing = open();
        // The failure waits, and so does its success after it, and another failure after that.
        printing.take(&entries(&[10])).expect("writable");
        printing.take(&done(10)).expect("writable");
        printing.take(&entries(&[10])).expect("writable");
        drop(printing);
        let mut printing = open();
        printing.take(&entries(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).expect("writable");
        assert_eq!(sink.0.lock().expect("not poisoned").len(), 10);
        assert!(printing.position.printed().contains("k2x9bcdf.10"), "it is printed as done");
        // The failure was printed by another process.
        printing.take(&entries(&[20])).expect("writable");
        printing.finish().expect("writable");
        drop(printing);
        let mut printing = open();
        printing.take(&done(20)).expect("writable");
        printing.finish().expect("writable");
        assert!(printing.position.printed().contains("k2x9bcdf.20"));
        assert_eq!(sink.0.lock().expect("not poisoned").len(), 12);
        drop(printing);
        std::fs::remove_dir_all(&directory).expect("removable");
    }

    #[test]
    fn items_that_nobody_works_on_hold_up_nobody() {
        let sink = Printed(Mutex::default(), usize::MAX);
        let order = Order::new(Some("k2x9bcdf".to_owned()), Spool::temporary().expect("writable"));
        let order = order.skipping([1, 2, 4].into());
        let mut printing = Printing::new(&sink, Position::nowhere(), Some(order));
        printing.take(&entries(&[5])).expect("writable");
        printing.take(&entries(&[3])).expect("writable");
        assert_eq!(sink.0.lock().expect("not poisoned").join(" "), "3 5");
    }

    #[test]
    fn what_nobody_reads_is_not_noted_as_printed() {
        let (printed, repeated) = print("unread", false, &[&[1, 2, 3], &[1, 2, 3]], 2);
        assert_eq!((printed.join(" ").as_str(), repeated), ("1 2", 2));
    }
}
