//! Reads items without publishing them, for `enqueue --dry-run`.

use std::future::Future;

use crate::error::Error;
use crate::items::{InputSource, Items};
use crate::notice::Observer;
use workqueue_core::item::{Item, Position};

/// What an input contains.
#[derive(Debug, Default)]
pub struct InputSummary {
    /// Items read, not counting bad input.
    pub items: u64,
    /// Blank lines of the input, which are no items.
    pub blank: u64,
    /// Their total size.
    pub bytes: u64,
    /// Position and size in bytes of the largest item.
    pub largest: Option<(Position, usize)>,
    /// The first ones.
    pub first: Vec<Item>,
    /// Whether the user stopped the reading.
    pub interrupted: bool,
}

/// Reads the items of a source and keeps the first `keep` of them. The summary includes what was
/// read before an error.
pub async fn summarize(
    source: InputSource,
    max_item_size: usize,
    keep: usize,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> (InputSummary, Result<(), Error>) {
    let mut summary = InputSummary::default();
    let result = match Items::open(source, max_item_size) {
        Ok(items) => summary.read(items, keep, observer, interrupt).await,
        Err(error) => Err(error.into()),
    };
    (summary, result)
}

impl InputSummary {
    async fn read(
        &mut self,
        mut items: Items,
        keep: usize,
        observer: &dyn Observer,
        interrupt: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut interrupt = std::pin::pin!(interrupt);
        let notes = items.notes();
        loop {
            let chunk = tokio::select! {
                biased;
                () = &mut interrupt => {
                    self.interrupted = true;
                    return Ok(());
                }
                chunk = items.next_chunk() => {
                    observer.warn_of_input(&notes);
                    self.blank = notes.blank();
                    chunk?
                }
            };
            let Some(chunk) = chunk else { return Ok(()) };
            for item in chunk {
                self.count(item, keep);
            }
        }
    }

    fn count(&mut self, item: Item, keep: usize) {
        let size = item.body.len();
        self.items += 1;
        self.bytes += size as u64;
        if self.largest.as_ref().is_none_or(|(_, largest)| size > *largest) {
            self.largest = Some((item.position.clone(), size));
        }
        if self.first.len() < keep {
            self.first.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Notice;

    struct Deaf;
    impl Observer for Deaf {
        fn on(&self, _: Notice<'_>) {}
    }

    #[tokio::test]
    async fn the_items_of_an_input_are_counted() {
        let source = InputSource::Arguments(vec![b"a".to_vec(), b"ccc".to_vec(), b"bb".to_vec()]);
        let (summary, result) = summarize(source, 99, 2, &Deaf, std::future::pending()).await;
        result.expect("good items");
        assert_eq!((summary.items, summary.bytes, summary.first.len()), (3, 6, 2));
        assert_eq!(summary.largest, Some((Position::Argument(2), 3)));
    }
}
