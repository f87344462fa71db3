//! Declares a queue and the queues that belong to it.

use crate::error::Error;
use crate::notice::{Observer, Warning};
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::topology::{self, Ensured, QueueSpec};

/// Declares the queue if it is missing. With `warn`, reports an existing queue that lacks
/// guarantees.
pub(crate) async fn ensure_queue(
    connection: &BrokerConnection,
    spec: &QueueSpec,
    observer: &dyn Observer,
    warn: bool,
) -> Result<(), Error> {
    let ensured =
        topology::ensure(&connection.broker, spec).await.map_err(|error| connection.explain(error))?;
    let warning = match &ensured {
        Ensured::Created | Ensured::Present => None,
        Ensured::Different(reason) => Some(Warning::QueueDiffers { queue: &spec.name, reason }),
        Ensured::CreatedClassic(reason) => Some(Warning::ClassicQueue { queue: &spec.name, reason }),
    };
    if let Some(warning) = warning.filter(|_| warn) {
        observer.warn(warning);
    }
    Ok(())
}
