//! The plan of a run: its items, its worker, and how many pods.

use std::time::Duration;

use crate::items::InputSource;
use crate::release::manifests::ChartPlan;
use crate::run::script::Script;
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::names::ReleaseName;
use workqueue_worker::{Backoff, Halt, RuntimePlan};

pub struct RunPlan {
    /// The release whose broker holds the queue.
    pub release: ReleaseName,
    /// Declared if it is missing.
    pub queue: QueueSpec,
    /// Whether it has to exist: somebody has named it, and gives no items for it.
    pub must_exist: bool,
    /// Items to enqueue first.
    pub items: Option<InputSource>,
    /// The batch that they become; `None` for a random one.
    pub batch: Option<String>,
    /// In bytes; larger items are refused.
    pub max_item_size: usize,
    /// Stop enqueuing after this long without progress; 0 for no limit.
    pub enqueue_timeout: Duration,
    /// The workers' image.
    pub image: String,
    pub mode: Mode,
    pub worker: Worker,
    pub work: Work,
    /// The program to start for each item, which it reads from standard input; with a script, the
    /// script's arguments.
    pub program: Vec<String>,
    pub script: Option<Script>,
    /// Whole outputs to keep; `None` for none.
    pub outputs: Option<OutputsPlan>,
    /// Pods that run concurrently.
    pub parallelism: u32,
    /// Failed pods that the Job tolerates; `None` for the mode's default.
    pub backoff_limit: Option<u32>,
    /// The most pods that a coarse run may need.
    pub max_pods: u32,
    /// Chart and values in addition to those that `up` stored.
    pub chart: ChartPlan,
}

/// Whole outputs that are kept on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputsPlan {
    /// The most bytes of an item's output; what is longer is cut.
    pub limit: u64,
}

/// How items are distributed over pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A few pods process many items each, until the queue is empty.
    Fine,
    /// One pod per item.
    Coarse,
}

/// What fetches items from the queue inside the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worker {
    /// The image's own command, as in the tutorial.
    Image,
    /// `amqp-consume` from the image, which runs the program on one item.
    AmqpConsume,
    /// `workqueue-worker` from the image.
    InImage,
    /// `workqueue-worker`, copied into the pod from this image. `None` for the image in the release's
    /// value `worker.inject.image`; without one, the plugin brings the worker in ConfigMaps.
    Injected(Option<String>),
}

impl Worker {
    /// The image that `workqueue-worker` is copied from, unless it is the release's.
    pub fn injected(&self) -> Option<&String> {
        match self {
            Self::Injected(image) => image.as_ref(),
            Self::Image | Self::AmqpConsume | Self::InImage => None,
        }
    }

    /// Whether it is `workqueue-worker`, which keeps a ledger.
    pub fn keeps_ledger(&self) -> bool {
        matches!(self, Self::InImage | Self::Injected(_))
    }
}

/// Options of `workqueue-worker`.
#[derive(Debug, Clone)]
pub struct Work {
    /// Items that a pod processes concurrently.
    pub concurrency: u16,
    /// Further attempts after the first one fails.
    pub retries: u32,
    /// The pause before each retry.
    pub backoff: Backoff,
    /// The time limit of one attempt; zero for none.
    pub item_timeout: Duration,
    /// How long running items may continue after the pod is asked to stop.
    pub grace: Duration,
    /// How many failures end the run.
    pub halt: Option<Halt>,
    /// How many workers an item may end before it fails.
    pub max_deaths: u32,
    /// That the program stays, and asks for its items.
    pub runtime: Option<RuntimePlan>,
}
