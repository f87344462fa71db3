//! `queues` and `purge`: what queues there are, and emptying one.

use clap::Args;
use serde_json::json;

use super::broker::BrokerQueueFlags;
use crate::queue::peek::{depth, purge as empty, queues as list};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::table::table;

/// List the queues of a broker
///
/// READY counts the items that wait; those that workers hold are not among them. The list is
/// complete where the broker's own tool may be run in its pod (`create` on `pods/exec`); elsewhere
/// it has the queue that --queue names and QUEUE.failed.
#[derive(Debug, Args)]
pub struct QueuesArgs {
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Delete all items that wait in a queue
///
/// Says how many there are, and asks. What workers hold is not touched.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Runs `queues`.
pub async fn queues(args: QueuesArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let (rows, complete) = list(&reach, queue).await?;
    if args.target.output.is_json() {
        let rows = rows.iter().map(|row| {
            json!({"name": row.name.as_str(), "ready": row.depth.ready, "consumers": row.depth.consumers})
        });
        ui.json(&json!({"complete": complete, "queues": rows.collect::<Vec<_>>()}));
        return Ok(ExitStatus::Success);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| vec![row.name.to_string(), row.depth.ready.to_string(), row.depth.consumers.to_string()])
        .collect();
    ui.data(table(&["QUEUE", "READY", "CONSUMERS"], &cells).as_bytes());
    if !complete {
        ui.status("only the queues that are named can be seen: the broker's tool cannot be asked");
    }
    Ok(ExitStatus::Success)
}

/// Runs `purge`.
pub async fn purge(args: PurgeArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let Some(found) = depth(&reach, queue).await? else {
        return Err(Failure::new(
            format!("there is no queue {queue}"),
            "`kubectl workqueue queues` lists them",
        ));
    };
    if !args.yes && !ui.may_delete(&format!("{} items of queue {queue}", found.ready))? {
        return Ok(ExitStatus::Error);
    }
    let purged = empty(&reach, queue).await?;
    if args.target.output.is_json() {
        ui.json(&json!({"queue": queue.as_str(), "purged": purged}));
    }
    ui.status(&format!("{queue}: {purged} items deleted"));
    Ok(ExitStatus::Success)
}
