//! The worker's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    workqueue_worker::cli::run(std::env::args_os())
}
