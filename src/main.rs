//! The plugin's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_workqueue::run(std::env::args_os())
}
