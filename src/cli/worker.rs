//! Flags for the workers of a run: which program they start, and how they get into the pods.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::error::Error;
use crate::image::Reference;
use crate::run::plan::{Mode, Work, Worker};
use crate::run::script::Script;
use crate::ui::failure::Failure;
use crate::ui::usage;
use workqueue_worker::MAX_DEATHS;
use workqueue_worker::cli::flags::{RuntimeFlags, WorkFlags};

/// The heading of the flags in the help; `flags.rs` says why each flag names it.
const WORKER: &str = "Worker";

/// How the workers of a run process items.
#[derive(Debug, Args)]
pub struct WorkerFlags {
    /// Bring `workqueue-worker` into the pods from this image, which `build --worker-only` makes
    #[arg(long, value_name = "REF", help_heading = WORKER)]
    worker_image: Option<Reference>,
    /// Bring `workqueue-worker` into the pods (the default with a program): from --worker-image, or
    /// from the image in the release's value worker.inject.image, or without an image
    #[arg(long, help_heading = WORKER)]
    inject: bool,
    /// Use the `workqueue-worker` that the image has on its PATH, as images that `build` makes do
    #[arg(long, conflicts_with_all = ["worker_image", "inject"], help_heading = WORKER)]
    worker_in_image: bool,
    /// Start the program with `amqp-consume` from the image instead of `workqueue-worker`, in coarse
    /// mode
    #[arg(long, conflicts_with_all = ["worker_image", "inject", "worker_in_image", "script"], help_heading = WORKER)]
    amqp_consume: bool,
    /// Mount this script into the pods and start it for each item, without building an image; or this
    /// directory, and start the script `main` or `main.*` in it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = WORKER)]
    script: Option<PathBuf>,
    /// Process this many items concurrently in each pod, in fine mode
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = WORKER)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten, next_help_heading = WORKER)]
    work: WorkFlags,
    #[command(flatten, next_help_heading = WORKER)]
    pub(super) runtime: RuntimeFlags,
    /// Move an item to QUEUE.failed once this many workers have died while they ran it alone; the
    /// first death is not counted, since nothing was known of the item
    #[arg(long, value_name = "N", default_value_t = MAX_DEATHS, help_heading = WORKER)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_deaths: u32,
}

impl WorkerFlags {
    /// The worker that starts the program, or the script.
    pub fn worker(&self, program: &[String]) -> Result<Worker, Failure> {
        if self.amqp_consume && self.runtime.runtime_api {
            return Err(usage::runtime_api_needs_worker());
        }
        if program.is_empty() && self.script.is_none() && !self.starts_image(program) {
            if self.worker_image.is_some() || self.inject || self.worker_in_image || self.amqp_consume {
                return Err(usage::no_program());
            }
            return Ok(Worker::Image);
        }
        Ok(match &self.worker_image {
            Some(image) => Worker::Injected(Some(image.to_string())),
            None if self.amqp_consume => Worker::AmqpConsume,
            None if self.worker_in_image => Worker::InImage,
            None => Worker::Injected(None),
        })
    }

    /// Whether the worker starts what the image would start: a program that stays, if none is named.
    pub fn starts_image(&self, program: &[String]) -> bool {
        self.runtime.runtime_api && program.is_empty() && self.script.is_none()
    }

    /// The mode for a worker, given the one that the user asked for.
    pub fn mode(&self, asked: Option<Mode>, worker: &Worker) -> Result<Mode, Failure> {
        let mode = match asked {
            _ if self.amqp_consume => Mode::Coarse,
            Some(mode) => mode,
            None if *worker == Worker::Image => Mode::Coarse,
            None => Mode::Fine,
        };
        if self.work.halt.is_some() && mode == Mode::Coarse {
            return Err(usage::halt_needs_fine_mode());
        }
        let in_program = self.runtime.runtime_concurrency;
        if in_program > 1 && mode == Mode::Coarse {
            return Err(usage::runtime_concurrency_needs_fine_mode());
        }
        if self.concurrency.checked_mul(in_program).is_none() {
            return Err(usage::too_many_items_at_a_time());
        }
        Ok(mode)
    }

    pub fn work(&self) -> Work {
        Work {
            concurrency: self.concurrency,
            retries: self.work.retries,
            backoff: self.work.backoff,
            item_timeout: self.work.item_timeout,
            grace: self.work.grace,
            halt: self.work.halt,
            max_deaths: self.max_deaths,
            runtime: self.runtime.plan(),
        }
    }

    /// The script to mount, if any.
    pub fn script(&self) -> Result<Option<Script>, Error> {
        self.script.as_deref().map(Script::read).transpose()
    }
}
