//! What the plugin, the worker and the broker's client share: names, items and their records, and the
//! queue that the worker's loop runs over.

pub mod causes;
pub mod credentials;
pub mod duration;
pub mod item;
pub mod memory_queue;
pub mod names;
pub mod queue;
pub mod record;
