//! The executable that kubectl finds as the `workqueue` plugin.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_workqueue::run(std::env::args_os())
}
