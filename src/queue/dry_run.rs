//! Reads items without sending them anywhere: what an enqueue would put into the queue.

use std::future::Future;

use crate::error::Error;
use crate::items::{InputSource, Items};
use workqueue_core::item::{Item, Position};

/// What an input holds.
#[derive(Debug, Default)]
pub struct InputSummary {
    /// Items read, bad input not counted.
    pub items: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The largest one's place and size in bytes.
    pub largest: Option<(Position, usize)>,
    /// The first ones.
    pub first: Vec<Item>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

/// RunCounts the items of a source, and keeps the first `keep` of them. What was read before an
/// error is counted.
pub async fn survey(
    source: InputSource,
    max_item_size: usize,
    keep: usize,
    interrupt: impl Future<Output = ()>,
) -> (InputSummary, Result<(), Error>) {
    let mut survey = InputSummary::default();
    let result = match Items::open(source, max_item_size) {
        Ok(items) => survey.read(items, keep, interrupt).await,
        Err(error) => Err(error.into()),
    };
    (survey, result)
}

impl InputSummary {
    async fn read(
        &mut self,
        mut items: Items,
        keep: usize,
        interrupt: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut interrupt = std::pin::pin!(interrupt);
        loop {
            let batch = tokio::select! {
                biased;
                () = &mut interrupt => {
                    self.interrupted = true;
                    return Ok(());
                }
                batch = items.next_chunk() => batch?,
            };
            let Some(batch) = batch else { return Ok(()) };
            for item in batch {
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

    #[tokio::test]
    async fn an_input_is_counted_up_to_its_first_error() {
        let source = InputSource::Arguments(vec![b"a".to_vec(), b"ccc".to_vec(), b"bb".to_vec()]);
        let (survey, result) = survey(source, 99, 2, std::future::pending()).await;
        result.expect("good items");
        assert_eq!((survey.items, survey.bytes, survey.first.len()), (3, 6, 2));
        assert_eq!(survey.largest, Some((Position::Argument(2), 3)));
    }
}
