//! Flags that the worker shares with `kubectl workqueue local` and `run`.

use std::time::Duration;

use clap::Args;

use crate::{Backoff, Halt, ItemsAs, RuntimePlan};
use workqueue_core::duration::duration;

/// How items are worked on.
#[derive(Debug, Clone, Args)]
pub struct WorkFlags {
    /// Retry an item up to this many times after its first attempt has failed
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: u32,
    /// Pause this long before a retry; doubled each time up to MAX, with jitter
    #[arg(long, value_name = "INITIAL[..MAX]", default_value = "1s..60s")]
    pub backoff: Backoff,
    /// End an attempt that takes longer (SIGTERM to its whole process group, and SIGKILL 5 s later);
    /// it counts as failed (0: no limit)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub item_timeout: Duration,
    /// Let running items continue for this long after the first SIGTERM or Ctrl-C; a second one ends
    /// them at once
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub grace: Duration,
    /// Stop the whole run once N items have failed: with `soon`, running items finish; with `now`,
    /// they are ended. What is left stays in the queue
    #[arg(long, value_name = "soon|now,fail=N")]
    pub halt: Option<Halt>,
}

impl WorkFlags {
    /// The limit of one attempt, if there is one.
    pub fn limit(&self) -> Option<Duration> {
        (!self.item_timeout.is_zero()).then_some(self.item_timeout)
    }
}

/// Whether the program stays, and how it gets its items then.
#[derive(Debug, Clone, Copy, Args)]
pub struct RuntimeFlags {
    /// Start the program once, and let it ask for one item after the other as an AWS Lambda function
    /// does, at http://$AWS_LAMBDA_RUNTIME_API (see docs/guide/resident-programs.md)
    #[arg(long)]
    pub runtime_api: bool,
    /// With --runtime-api: let each program work on this many items at a time
    #[arg(long, value_name = "N", default_value_t = 1, requires = "runtime_api")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub runtime_concurrency: u16,
    /// With --runtime-api: how the program gets items that are no JSON, and whether they may be
    /// (default: JSON as it is, other text as a JSON string)
    #[arg(long, value_name = "FORMAT", requires = "runtime_api")]
    pub items_as: Option<ItemsAs>,
}

impl RuntimeFlags {
    /// The plan, if the program stays.
    pub fn plan(self) -> Option<RuntimePlan> {
        let Self { runtime_api, runtime_concurrency, items_as } = self;
        runtime_api.then(|| RuntimePlan { items_as, concurrency: runtime_concurrency.into() })
    }
}
