//! Reads the records that workers publish about their items.

mod files;
pub mod joblog;
mod last_record;
pub mod progress;
pub mod read;
