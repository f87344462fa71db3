//! Worker images: what to build, the Dockerfile for a single script, and the engine's command line.
//!
//! Makes no requests to Kubernetes. Local clusters are recognized by the names in a kubeconfig.

mod amqp_consume;
mod build_context;
mod dockerfile;
mod engine;
mod entry_point;
mod error;
mod local_cluster;
mod modes;
mod platforms;
mod reference;
mod several;
mod shebang;
mod subprocess;
mod worker_binary;

pub use amqp_consume::CONSUME_ONE;
pub use build_context::{BuildContext, PreparedContext};
pub use engine::{BuildOptions, Engine};
pub use error::{Error, Tool};
pub use local_cluster::LocalCluster;
pub use reference::{Reference, ReferenceError};
pub use subprocess::{Interrupt, OutputMode};
pub use worker_binary::{ARCHITECTURES, WorkerBinary, worker_version};
