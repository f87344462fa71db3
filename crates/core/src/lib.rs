//! What the plugin, the AMQP client and the worker share. No module here talks to a broker or a cluster.
//!
//! Layers, from the top; a module uses only those below its own line:
//!
//! | modules | what they are for |
//! | --- | --- |
//! | [`memory_queue`] | a queue in memory: work without a broker |
//! | [`queue`] | what the worker asks of a queue, and what a queue reports |
//! | [`failed_item`] | the headers of a failed item |
//! | [`ledger`] | the books of a queue: what was enqueued, and how each item ended |
//! | [`mark`] | what workers tell each other about items that came back |
//! | [`output`] | what items wrote, several to a message |
//! | [`record`], [`item`] | the record of a settled item; items and their sources |
//! | [`worker_mark`] | how the version of a worker is found in its executable |
//! | [`names`], [`credentials`], [`duration`], [`causes`], [`words`], [`shell`] | names, logins, durations, errors, counts and command lines as text |
//!
//! ```
//! use workqueue_core::names::QueueName;
//!
//! let queue: QueueName = "job1".parse()?;
//! assert_eq!(queue.failed().as_str(), "job1.failed");
//! assert!("amq.direct".parse::<QueueName>().is_err(), "reserved for the broker");
//! # Ok::<(), workqueue_core::names::NameError>(())
//! ```

pub mod causes;
pub mod credentials;
pub mod duration;
pub mod failed_item;
pub mod item;
pub mod ledger;
pub mod mark;
pub mod memory_queue;
pub mod names;
pub mod output;
pub mod queue;
pub mod record;
pub mod shell;
pub mod words;
pub mod worker_mark;
