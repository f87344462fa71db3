//! The reports of commands in words and tables, one file a noun.

pub mod build;
pub mod chart;
pub mod diff;
pub mod doctor;
pub mod down;
pub mod enqueue;
pub mod failed;
pub mod local;
pub mod map;
pub mod outputs;
pub mod queues;
pub mod results;
pub mod run;
pub mod run_end;
pub mod status;
pub mod up;
