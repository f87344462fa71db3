//! The harnesses of the tests, one on top of the other:
//!
//! - [`Running`] and [`Outcome`]: a program that is fed, watched, has a deadline, and what it printed.
//! - [`Sandbox`]: a directory of its own, with fake programs as all that is on PATH.
//! - [`Bed`]: a namespace on the test bed, and kubectl with the plugin on PATH.
//! - [`Bench`]: a queue of its own on a broker, and workers on this machine.

mod bed;
mod bench;
mod intruder;
mod ledger;
mod messages;
mod outcome;
mod programs;
mod running;
mod sandbox;
mod stream;
mod workers;

pub use bed::{Bed, FRUITS, api_server, kubectl, registry, seed_worker, variable};
pub use bench::{Bench, ended};
pub use intruder::{Attempt, attempt};
pub use messages::{Message, ended_with, ids, number, numbers};
pub use outcome::Outcome;
pub use programs::{awslambdaric, plugin, root, worker};
pub use running::{Running, run, run_with_input};
pub use sandbox::Sandbox;
pub use workers::{static_program, worker_image};
