//! Reads what workers publish about their items: records and whole outputs.

mod files;
pub mod joblog;
mod last_record;
pub mod outputs;
pub mod printing;
pub mod progress;
pub mod read;
pub mod written;
