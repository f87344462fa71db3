//! `kubectl workqueue`: a work queue on Kubernetes, from the broker to the results.
//!
//! The layers, from the top; imports point down, and the middle ones never at each other:
//! [`cli`], [`ui`] and [`error`]; [`action`]; `cluster`, `broker`, `chart`, `image`; `item`, `names`,
//! `credentials`. `docs/architecture.md` says more, and a test keeps it so.

pub mod action;
pub mod broker;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod credentials;
pub mod error;
pub mod image;
pub mod item;
pub mod names;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the plugin with a command line (the program's name first) and gives its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args).into()
}
