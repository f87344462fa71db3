//! The records that workers leave of their items.

mod files;
pub mod joblog;
mod last_record;
pub mod progress;
pub mod read;
