//! `kubectl workqueue`: a work queue on Kubernetes, from the broker to the results.
//!
//! `docs/design/architecture.md` describes the modules and what may import what.

pub mod build;
pub mod candidates;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod doctor;
pub mod error;
pub mod failed;
pub mod image;
pub mod items;
pub mod local;
pub mod notice;
pub mod queue;
pub mod release;
pub mod results;
pub mod run;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the plugin with a command line (the program's name first) and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args).into()
}
