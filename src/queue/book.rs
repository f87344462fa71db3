//! Writes into the book of a queue what became of its items outside of runs.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::queue::connection::{BrokerConnection, BrokerTarget, is_transient};
use workqueue_amqp as broker;
use workqueue_amqp::{ledger, topology};
use workqueue_core::ledger::BookEntry;
use workqueue_core::names::QueueName;

/// How long to try if the broker is away.
const LONGEST: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_secs(1);

/// Writes an entry over a connection. A broker without streams has no books, which is no error.
///
/// # Errors
/// Those of the broker connection.
pub(crate) async fn note(
    connection: &BrokerConnection,
    queue: &QueueName,
    entry: BookEntry,
) -> Result<(), Error> {
    let noting = async {
        match topology::ensure_book(&connection.broker, queue).await {
            Err(broker::Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => ledger::append(&connection.broker, queue, &[entry]).await,
        }
    };
    noting.await.map_err(|error| connection.explain(error))
}

/// Writes an entry over a connection of its own. Tries again while the broker is away.
///
/// # Errors
/// As for [`note`].
pub(crate) async fn note_at(
    target: &BrokerTarget,
    queue: &QueueName,
    entry: &BookEntry,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let noted = match BrokerConnection::open_target(target, "kubectl-workqueue book").await {
            Ok(connection) => {
                let noted = note(&connection, queue, entry.clone()).await;
                connection.close().await;
                noted
            }
            Err(error) => Err(error),
        };
        match noted {
            Err(error) if is_transient(&error) && started.elapsed() < LONGEST => {}
            noted => return noted,
        }
        tokio::time::sleep(PAUSE).await;
    }
}
