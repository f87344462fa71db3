//! `queues` and `purge`: which queues there are, and emptying one.

use clap::Args;

use super::broker::BrokerQueueFlags;
use crate::error::Error;
use crate::queue::peek::{depth, purge as empty, queues as list};
use crate::ui::Ui;
use crate::ui::commands::is_default;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::queues::{PurgeJson, QueuesJson};
use crate::ui::reports::queues as report;
use workqueue_amqp as broker;
use workqueue_core::names::QueueName;

/// List the queues of a broker
///
/// READY counts the items that no worker holds. The list is complete if you may run the broker's
/// own tool in its pod (`create` on `pods/exec`); otherwise it has only the queue that --queue names
/// and its QUEUE.failed.
#[derive(Debug, Args)]
pub struct QueuesArgs {
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Delete all items that are ready in a queue
///
/// Says how many there are, and asks first. Items that workers hold are not deleted.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

pub async fn queues(args: QueuesArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let (rows, complete) = list(&reach, queue).await?;
    if !is_default(queue) && !rows.iter().any(|row| row.name == *queue) {
        return args.target.named(&reach, Err(missing(queue))).await;
    }
    if args.target.output.is_json() {
        ui.json(&QueuesJson::of(&rows, complete));
        return Ok(ExitStatus::Success);
    }
    ui.data(report::list(&rows).as_bytes());
    if !complete {
        ui.status(&report::incomplete(queue));
    }
    Ok(ExitStatus::Success)
}

/// The error about a queue that does not exist.
pub(super) fn missing(queue: &QueueName) -> Error {
    broker::Error::NoQueue(queue.clone()).into()
}

pub async fn purge(args: PurgeArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let found = depth(&reach, queue).await?.ok_or_else(|| missing(queue));
    let found = args.target.named(&reach, found).await?;
    if !args.yes && !ui.may_delete(&report::what(queue, found.ready))? {
        return Ok(ExitStatus::Error);
    }
    let purged = empty(&reach, queue).await?;
    if args.target.output.is_json() {
        ui.json(&PurgeJson::of(queue, purged.into()));
    }
    ui.status(&report::purged(queue, purged));
    Ok(ExitStatus::Success)
}
