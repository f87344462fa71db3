//! What a run is asked to be: which worker, with what, in how many pods.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::items::InputSource;
use crate::release::manifests::ChartPlan;
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::names::ReleaseName;
use workqueue_worker::{Backoff, Halt};

/// Bytes of a script: a ConfigMap holds 1 MiB, its name and labels included.
const LARGEST_SCRIPT: usize = 1_000_000;

/// What to run.
pub struct RunPlan {
    /// The release whose broker holds the queue.
    pub release: ReleaseName,
    /// The queue, made if it is missing.
    pub queue: QueueSpec,
    /// Items to enqueue first.
    pub items: Option<InputSource>,
    /// Larger items are refused; bytes.
    pub max_item_size: usize,
    /// Give up enqueuing after this long without progress; 0 for never.
    pub enqueue_timeout: Duration,
    /// The workers' image.
    pub image: String,
    /// How items come to pods.
    pub mode: Mode,
    /// Which worker takes them.
    pub worker: Worker,
    /// How it treats them.
    pub work: Work,
    /// The program to start for each item, the item on its standard input; or the arguments of
    /// `script`.
    pub program: Vec<String>,
    /// A script to bring into the pods.
    pub script: Option<Script>,
    /// Pods at one time.
    pub parallelism: u32,
    /// Failed pods that the Job bears before it fails; each mode has its own default.
    pub backoff_limit: Option<u32>,
    /// Pods in all, at most, where each item gets one.
    pub max_pods: u32,
    /// Chart and values beyond those that `up` was given.
    pub chart: ChartPlan,
}

/// How items come to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A few pods work on many items each, until the queue is empty.
    Fine,
    /// One pod an item.
    Coarse,
}

/// Which worker takes the items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worker {
    /// The image's own command does it all, as the tutorial's.
    Image,
    /// `amqp-consume` in the image, around the program: for one item a pod.
    AmqpConsume,
    /// `workqueue-worker` in the image, around the program.
    InImage,
    /// `workqueue-worker`, brought into the pod from the image of this name, or else from the one
    /// that the release's value `worker.inject.image` names.
    Injected(Option<String>),
}

/// How a worker treats its items.
#[derive(Debug, Clone)]
pub struct Work {
    /// Items at one time in a pod.
    pub concurrency: u16,
    /// Further attempts at an item.
    pub retries: u32,
    /// The pause before each.
    pub backoff: Backoff,
    /// The limit of one attempt; zero for none.
    pub item_timeout: Duration,
    /// How long running items may go on when a pod is stopped.
    pub grace: Duration,
    /// When failures end the run.
    pub halt: Option<Halt>,
}

/// A script that is mounted into the pods.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its name in the pods.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// A file that cannot be read as text, that does not start with `#!`, or that no ConfigMap can
    /// bring to the pods.
    pub fn read(path: &PathBuf) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.display().to_string(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        if !text.starts_with("#!") {
            return Err(Error::NoFirstLine(path.display().to_string()));
        }
        let refuse =
            |reason: &str| Err(Error::Script { path: path.display().to_string(), reason: reason.to_owned() });
        if text.len() > LARGEST_SCRIPT {
            return refuse("it is larger than a ConfigMap can hold (1 MiB)");
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
            return refuse("its name has other characters than letters, digits, '-', '_' and '.'");
        }
        Ok(Self { name, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_no_config_map_can_bring_are_refused() {
        let dir = std::env::temp_dir().join(format!("workqueue-scripts-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let read = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("writable");
            Script::read(&path)
        };
        assert_eq!(read("work.sh", "#!/bin/sh\n").expect("fine").name, "work.sh");
        assert!(matches!(read("my work.sh", "#!/bin/sh\n"), Err(Error::Script { .. })));
        assert!(matches!(
            read("large.sh", &format!("#!/bin/sh\n{}", "#".repeat(LARGEST_SCRIPT))),
            Err(Error::Script { .. })
        ));
        std::fs::remove_dir_all(&dir).expect("ours");
    }
}
