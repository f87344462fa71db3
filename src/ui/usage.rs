//! Failures of the command line itself: what clap does not find, and what the system refuses.

use crate::ui::failure::{ExitStatus, Failure};
use workqueue_worker::arguments::Misplaced;

fn usage(message: impl Into<String>, hint: &str) -> Failure {
    Failure::new(message, hint).with_status(ExitStatus::Usage)
}

/// Flags without a command.
pub fn no_command() -> Failure {
    usage("no command is named", "`kubectl workqueue --help` lists the commands")
}

/// `enqueue` without items.
pub fn no_items() -> Failure {
    usage("there are no items", "give them as arguments, or as lines with -f FILE or -f -")
}

/// `failed retry` without ids.
pub fn no_ids() -> Failure {
    usage(
        "no items are named",
        "name them by their ids, which `kubectl workqueue failed list` shows, or all with --all",
    )
}

/// `local` where nothing ends a program together with all that it has started.
pub fn local_needs_process_groups() -> Failure {
    Failure::new(
        "local does not run on Windows, which has no process groups to end programs with",
        "use it in WSL, with the plugin for Linux; all other commands work here",
    )
}

/// `{}` where no item can be.
pub fn misplaced_item(error: &Misplaced) -> Failure {
    usage(error.to_string(), &error.hint())
}

/// Flags for a worker without a program that it could start.
pub fn no_program() -> Failure {
    usage("there is no program to start", "name it after --, or a script with --script")
}

/// `--outputs` with a worker that keeps none.
pub fn outputs_need_worker() -> Failure {
    usage(
        "--outputs needs a program that workqueue-worker starts",
        "name it after --, or mount a script with --script, and omit --amqp-consume",
    )
}

/// `--runtime-api` with a worker that has none.
pub fn runtime_api_needs_worker() -> Failure {
    usage("--runtime-api needs workqueue-worker in the pods", "omit --amqp-consume")
}

/// `--output-limit` without `--outputs`.
pub fn no_outputs_to_limit() -> Failure {
    usage("--output-limit limits nothing here", "add --outputs, which keeps whole outputs")
}

/// Flags of `run` that `map` has no use for.
pub fn not_in_map() -> Failure {
    usage(
        "map prints outputs until all of them are there: --detach and -o json do not fit",
        "`run --outputs --detach` starts a run whose outputs `map --attach` prints, and --format jsonl prints JSON",
    )
}

/// `map` with pods that process one item each.
pub fn map_needs_fine_mode() -> Failure {
    usage(
        "map works in fine mode only, with a program",
        "omit --mode coarse, and name the program after --, or mount a script with --script",
    )
}

/// Flags for a build without `--build`.
pub fn nothing_to_build() -> Failure {
    usage("there is nothing to build", "name a Dockerfile's directory or a script with --build")
}

/// An image to build whose reference has a digest, or is wrong.
pub fn image_to_build(message: String) -> Failure {
    usage(message, "name it with a tag")
}

/// `--halt` with pods that process one item each.
pub fn halt_needs_fine_mode() -> Failure {
    usage(
        "--halt works in fine mode only",
        "add --mode fine: in coarse mode each pod processes one item, and no worker counts the failures",
    )
}

/// `--runtime-concurrency` in coarse mode.
pub fn runtime_concurrency_needs_fine_mode() -> Failure {
    usage(
        "--runtime-concurrency works in fine mode only",
        "omit it: in coarse mode each pod processes one item",
    )
}

/// More items at a time than a worker can have.
pub fn too_many_items_at_a_time() -> Failure {
    usage(
        format!("--concurrency times --runtime-concurrency is more than {}", u16::MAX),
        "lower one of them, and have more pods with --parallelism",
    )
}

/// `--values -` in a command that reads items from standard input.
pub fn values_from_stdin() -> Failure {
    usage("--values cannot read standard input here: that is for items", "name a file")
}

/// The system does not let the program do something.
pub fn impossible(what: &str, error: &std::io::Error) -> Failure {
    Failure { message: format!("cannot {what}: {error}"), hint: None, status: ExitStatus::Error }
}

/// Standard output takes no more.
pub fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {error}"), "the output is incomplete")
}
