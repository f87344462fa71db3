//! `kubectl workqueue`: a work queue on Kubernetes, from the broker to the results.
//!
//! The layers, from the top; imports point down, and the middle ones never at each other:
//! [`cli`], [`ui`] and [`error`]; [`action`]; `cluster`, `broker`, `chart`, `image`; `item`, `names`,
//! `credentials`. `docs/architecture.md` says more, and a test keeps it so.

#[cfg(feature = "plugin")]
pub mod action;
pub mod broker;
pub mod causes;
#[cfg(feature = "plugin")]
pub mod chart;
#[cfg(feature = "plugin")]
pub mod cli;
#[cfg(feature = "plugin")]
pub mod cluster;
pub mod credentials;
pub mod duration;
#[cfg(feature = "plugin")]
pub mod error;
#[cfg(feature = "plugin")]
pub mod image;
pub mod item;
pub mod local;
pub mod names;
#[cfg(feature = "worker")]
pub mod pod;
pub mod queue;
pub mod record;
#[cfg(feature = "plugin")]
pub mod ui;
pub mod worker;

#[cfg(feature = "plugin")]
use std::ffi::OsString;
#[cfg(feature = "plugin")]
use std::process::ExitCode;

#[cfg(feature = "plugin")]
/// Runs the plugin with a command line (the program's name first) and gives its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args).into()
}
