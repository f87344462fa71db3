//! The book of a queue: `QUEUE.ledger`.

use super::writing::{append_message, mark_id};
use crate::broker::close_channel;
use crate::confirms::{Route, confirming_channel};
use crate::stream::{From, StreamReader, Until, last};
use crate::{Broker, Error};
use workqueue_core::ledger::{Book, BookEntry};
use workqueue_core::names::QueueName;

/// Writes entries into the book, in their order.
///
/// # Errors
/// [`Error::NoQueue`] if there is no book; refusals; lost connections.
pub async fn append(broker: &Broker, queue: &QueueName, entries: &[BookEntry]) -> Result<(), Error> {
    let (book, channel) = (Route::direct(queue.ledger()), confirming_channel(broker).await?);
    for entry in entries {
        append_message(&channel, &book, &entry.to_json(), None).await?;
    }
    close_channel(&channel).await;
    Ok(())
}

/// Reads the book up to this moment; `None` if there is none. Leaves a mark in it.
///
/// # Errors
/// Lost connections, refusals, a broker that does not answer, and an entry that cannot be read.
pub async fn read_marked(broker: &Broker, queue: &QueueName) -> Result<Option<Book>, Error> {
    let (book, mark) = (Route::direct(queue.ledger()), mark_id());
    let channel = confirming_channel(broker).await?;
    let marked = append_message(&channel, &book, &BookEntry::Mark.to_json(), Some(&mark)).await;
    match marked {
        Err(Error::NoQueue(_)) => return Ok(None),
        marked => marked?,
    }
    close_channel(&channel).await;
    read_until(broker, queue, Until::Id(mark)).await.map(Some)
}

/// Reads the book as it was some seconds ago at the latest; `None` if there is none. Writes nothing.
///
/// # Errors
/// As for [`read_marked`].
pub async fn look(broker: &Broker, queue: &QueueName) -> Result<Option<Book>, Error> {
    let Some(last) = last(broker, &queue.ledger()).await? else { return Ok(None) };
    read_until(broker, queue, Until::Offset(last.offset)).await.map(Some)
}

async fn read_until(broker: &Broker, queue: &QueueName, until: Until) -> Result<Book, Error> {
    let mut reader = StreamReader::open(broker, queue.ledger(), From::Oldest, until).await?;
    let mut book = Book::default();
    while let Some(message) = reader.next().await? {
        // Without it, the rest cannot be trusted: it may say that items are gone.
        book.take(BookEntry::from_json(&message.body).map_err(|error| Error::Refused {
            operation: format!("reading {} (another version may have written it)", queue.ledger()),
            reason: error.to_string(),
        })?);
    }
    reader.close().await;
    Ok(book)
}
