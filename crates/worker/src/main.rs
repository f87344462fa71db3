//! The worker's executable.

use std::process::ExitCode;

use workqueue_core::worker_mark::MARK;

fn main() -> ExitCode {
    // Nothing else needs it, and the linker must not drop it.
    std::hint::black_box(MARK);
    workqueue_worker::cli::run(std::env::args_os())
}
