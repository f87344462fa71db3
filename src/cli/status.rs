//! `status`: the broker, the queues, the runs.

use clap::Args;

use super::flags::{ClusterFlags, OutputFlags, QueueFlags};
use super::queues::missing;
use crate::candidates::with_queues;
use crate::queue::connection::BrokerTarget;
use crate::release::status::status;
use crate::ui::Ui;
use crate::ui::commands::is_default;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::status::StatusJson;
use crate::ui::reports::status as report;

/// Show the broker, the queues and the runs of a release
///
/// DONE and FAILED count what the workers have recorded (see `kubectl workqueue results`). FAILED
/// includes the items that the broker dead-lettered because they killed their workers. RUNNING
/// counts the items that workers hold, some seconds late, and LEFT those that are ready in the
/// queue. RATE is the rate of the last minute, and ETA the time left at that rate. PODS shows how
/// many pods have succeeded of those that have to, and after `+` how many are active.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

pub async fn run(args: StatusArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let found = status(&cluster, &args.cluster.release, &args.queue.queue).await?;
    let queue = &args.queue.queue;
    if !is_default(queue) && !found.queues.iter().any(|(name, _)| name == queue) {
        let target = BrokerTarget::Release(cluster, args.cluster.release);
        return Err(with_queues(&target, missing(queue)).await.into());
    }
    if args.output.is_json() {
        ui.json(&StatusJson::from(&found));
    } else {
        ui.data(report::tables(&found).as_bytes());
    }
    Ok(ExitStatus::Success)
}
