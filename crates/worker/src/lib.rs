//! The worker: takes the next item, runs the user's program, settles the item by its exit status.
//!
//! [`run`] works over any [`Queue`](workqueue_core::queue::Queue): a broker's queue in
//! `workqueue-worker` (module [`cli`]), a queue in memory in `kubectl workqueue local`.
//!
//! Who decides what; the rules are state machines without a queue or a clock of their own:
//!
//! | question | module |
//! | --- | --- |
//! | is an item tried again? | `retry`, and [`Backoff`] for the pause |
//! | may the worker leave an empty queue? | `drain` |
//! | are more items prefetched than there are slots? | `prefetch` |
//! | does an item end the workers that run it? | `deaths` |
//! | do failures halt the run? | [`halt`](Halt) |
//! | what do signals and deadlines end? | `shutdown` |
//!
//! Layers, from the top; a module uses only those below its own line:
//!
//! | modules | what they are for |
//! | --- | --- |
//! | [`cli`] | flags, environment, signals and log of the executable |
//! | `event_loop` | takes events one by one, asks the rules, and acts |
//! | `settling` | the items that this worker holds, and their settlements |
//! | `attempts` | one item in one slot: its attempts and its record |
//! | the rules, `held_items` | decisions; which deliveries are held and at which stage |
//! | `runtime_api` | programs that stay, and ask for one item after the other over HTTP |
//! | `program`, `group`, `reaper` | one process group: started, fed, read, ended |
//! | `hearing`, `output`, `held_output` | what becomes of what programs write |
//! | [`arguments`], [`limits`], [`script`] | what a program is given; how many can run; where a script comes from |
//! | `platform` | what differs by operating system |
//! | `plan`, `notice`, `error` | what a worker is to do; what it reports |

pub mod arguments;
mod attempts;
mod backoff;
pub mod cli;
mod deaths;
mod drain;
mod error;
mod event_loop;
mod group;
mod halt;
mod hearing;
mod held_items;
mod held_output;
pub mod limits;
mod notice;
pub mod output;
mod plan;
mod platform;
mod prefetch;
mod program;
mod reaper;
mod retry;
mod runtime_api;
pub mod script;
mod settling;
mod shutdown;
#[cfg(test)]
mod tests;

pub use backoff::{Backoff, BackoffError};
pub use deaths::MAX_DEATHS;
pub use error::Error;
pub use event_loop::run;
pub use halt::{Halt, HaltError, HaltWhen};
pub use notice::{Ending, StopSignal, WorkerNotice, WorkerObserver, WorkerReport};
pub use plan::{WorkerMode, WorkerPlan};
pub use platform::RUNS_PROGRAMS;
pub use reaper::Reaper;
pub use runtime_api::{ItemsAs, RuntimePlan};
