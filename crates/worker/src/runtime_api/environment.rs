//! The environment of programs that stay: what clients of AWS Lambda need, where it is not set.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

use crate::plan::WorkerPlan;
use crate::platform::total_memory;

/// Memory limits of this control group, in bytes: version 2, then 1.
const LIMIT_FILES: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The memory of AWS's emulator, in MiB.
const EMULATORS: u64 = 3008;

/// Where images in AWS's layout have their code and their runtime.
const TASK_ROOT: &str = "/var/task";
const RUNTIME_DIR: &str = "/var/runtime";

/// The variables of a program whose endpoint has this address.
pub(super) fn variables(
    plan: &WorkerPlan,
    concurrency: usize,
    address: SocketAddr,
) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("AWS_LAMBDA_RUNTIME_API", address.to_string().into()),
        ("WORKQUEUE_QUEUE", plan.queue.clone().into()),
        ("WORKQUEUE_RUN", plan.run.clone().unwrap_or_default().into()),
    ];
    let defaults = defaults(plan, concurrency);
    variables.extend(defaults.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    variables
}

fn defaults(plan: &WorkerPlan, concurrency: usize) -> Vec<(&'static str, OsString)> {
    let handler = plan.program.last().cloned().unwrap_or_default();
    let mut defaults: Vec<(&'static str, OsString)> = vec![
        // The last argument of most clients: `python3 -m awslambdaric app.handler`.
        ("_HANDLER", handler),
        ("LAMBDA_TASK_ROOT", task_root()),
        ("LAMBDA_RUNTIME_DIR", RUNTIME_DIR.into()),
        ("AWS_LAMBDA_FUNCTION_NAME", plan.queue.clone().into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_size().to_string().into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", plan.queue).into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", plan.location.name().into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
    ];
    // Clients that know it ask for several items at a time.
    if concurrency > 1 {
        defaults.push(("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string().into()));
    }
    defaults
}

/// The directory with the code.
fn task_root() -> OsString {
    if Path::new(TASK_ROOT).is_dir() {
        return TASK_ROOT.into();
    }
    std::env::current_dir().map_or_else(|_| OsStr::new("/").to_owned(), Into::into)
}

/// MiB that the program may use: the limit of its control group, otherwise all that the machine has, or, where
/// that is not known, what AWS's emulator says.
fn memory_size() -> u64 {
    let read = |file: &&str| std::fs::read_to_string(file).ok();
    let limit = LIMIT_FILES.iter().find_map(read).and_then(|text| text.trim().parse::<u64>().ok());
    let all = total_memory().unwrap_or(EMULATORS << 20);
    // Version 1 says "no limit" with a number beyond all memory.
    limit.unwrap_or(u64::MAX).min(all) >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_that_of_the_machine_or_less() {
        let size = memory_size();
        assert!((16..1 << 30).contains(&size), "{size} MiB");
    }
}
