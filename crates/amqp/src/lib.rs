//! The AMQP side of a work queue: queues are declared and counted, items published, consumed and
//! settled, failed items and results read. It knows nothing of Kubernetes: an [`Endpoint`] may be the
//! local end of a tunnel or any broker's address.
//!
//! Layers, from the top; a module uses only those below its own line, or on it:
//!
//! | modules | what they are for |
//! | --- | --- |
//! | [`consumer`] | the worker's queue: it takes items and settles them, and reconnects |
//! | [`publisher`] | publishes a batch with publisher confirms, in its own small AMQP client |
//! | [`failed_retry`] | moves failed items back into their queue |
//! | [`peek`], [`failed_queue`] | read a queue, and `QUEUE.failed`, without consuming what they read |
//! | [`ledger`] | the books of a queue: reads and writes them |
//! | [`result_stream`] | reads the records in the stream `QUEUE.results` |
//! | [`outputs`] | reads the whole outputs in the queue `QUEUE.outputs.RUN` |
//! | `stream` | reads a stream from its start to an end that is known |
//! | `queue_reader`, `held_tags` | hold messages unacknowledged and requeue them in order |
//! | [`topology`] | declares the queues, counts and purges their messages |
//! | `failed_message`, `delivery`, `confirms`, `properties` | from messages to items and back |
//! | `broker`, `transport` | a connection through lapin; a stream of bytes for the publisher |
//! | `endpoint`, `tls`, `error` | where a broker is; what can go wrong |
//!
//! ```no_run
//! # async fn example() -> Result<(), workqueue_amqp::Error> {
//! use workqueue_amqp::{Broker, Endpoint, topology};
//!
//! let endpoint = Endpoint::parse("amqp://guest:guest@localhost/", None)?;
//! let broker = Broker::connect(&endpoint, "example").await?;
//! let queue = "job1".parse().expect("a legal name");
//! if let Some(depth) = topology::depth(&broker, &queue).await? {
//!     println!("{} items wait for {} consumers", depth.ready, depth.consumers);
//! }
//! broker.close().await;
//! # Ok(())
//! # }
//! ```

mod broker;
mod confirms;
pub mod consumer;
mod delivery;
mod endpoint;
mod error;
mod failed_message;
pub mod failed_queue;
pub mod failed_retry;
#[cfg(test)]
mod fake_broker;
mod held_tags;
pub mod ledger;
pub mod outputs;
pub mod peek;
mod properties;
pub mod publisher;
mod queue_reader;
pub mod result_stream;
mod stream;
mod tls;
pub mod topology;
mod transport;

pub use broker::Broker;
pub use endpoint::Endpoint;
pub use error::Error;
pub use failed_message::{FailedMessage, failed_history};
pub use tls::Tls;
pub use transport::ByteStream;
