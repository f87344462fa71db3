//! The worker's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_workqueue::pod::run(std::env::args_os())
}
