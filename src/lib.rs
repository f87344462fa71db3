//! `kubectl workqueue`: a work queue on Kubernetes, from the broker to the results.
//!
//! `docs/design/architecture.md` shows the rooms and what may import what.

pub mod action;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod error;
pub mod image;
pub mod items;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the plugin with a command line (the program's name first) and gives its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args).into()
}
