//! Worker images: what to build, the Dockerfile for a lone script, and the engine's command line.
//!
//! Knows nothing of Kubernetes: where an image goes beyond a registry is said in the names of
//! contexts and clusters.

mod consume;
mod context;
mod dockerfile;
mod engine;
mod error;
mod local_cluster;
mod process;
mod reference;
mod shebang;
mod worker;

pub use consume::CONSUME_ONE;
pub use context::{Context, Prepared};
pub use engine::{BuildOptions, Engine};
pub use error::{Error, Role};
pub use local_cluster::LocalCluster;
pub use process::{Interrupt, Output};
pub use reference::{Reference, ReferenceError};
pub use worker::Worker;
