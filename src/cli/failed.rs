//! `failed`: the items that have failed.

use clap::{Args, Subcommand};

use super::flags::{ClusterFlags, OutputFlags, QueueFlags};
use crate::candidates::with_queues;
use crate::failed::{self, Selection};
use crate::queue::connection::{BrokerConnection, BrokerTarget};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::failed::{FailedItemJson, RetryJson, ShownItemJson};
use crate::ui::json::list::{NoMore, StreamedList};
use crate::ui::json::queues::PurgeJson;
use crate::ui::reports::failed as report;
use crate::ui::{Ui, usage};
use workqueue_amqp::FailedMessage;
use workqueue_core::names::QueueName;

/// Show, retry or delete the items that have failed
///
/// An item that has used up its attempts, or that killed its workers too often, is dead-lettered to
/// QUEUE.failed with what is known about the failure. `list` and `show` leave the items there.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct FailedArgs {
    #[command(subcommand)]
    command: FailedCommand,
}

#[derive(Debug, Subcommand)]
enum FailedCommand {
    /// List the failed items
    List {
        #[command(flatten)]
        common: FailedFlags,
    },
    /// Show a failed item: why it failed, the end of its program's stderr, and the item itself
    Show {
        /// The id of the item
        #[arg(value_name = "ID")]
        failed: String,
        /// Print only the item, byte by byte
        #[arg(long, conflicts_with = "output")]
        body: bool,
        #[command(flatten)]
        common: FailedFlags,
    },
    /// Send failed items back to their queue
    ///
    /// An item keeps its id and its history. It leaves QUEUE.failed once the broker has confirmed
    /// its copy in the queue: an interruption can leave an item in both queues, but loses none.
    Retry {
        /// The ids of the items
        #[arg(value_name = "ID", conflicts_with = "all")]
        failed: Vec<String>,
        /// Send all failed items back
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: FailedFlags,
    },
    /// Delete all failed items
    Purge {
        /// Delete without asking
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        common: FailedFlags,
    },
}

#[derive(Debug, Args)]
struct FailedFlags {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl FailedArgs {
    pub fn output(&self) -> OutputFlags {
        match &self.command {
            FailedCommand::List { common }
            | FailedCommand::Show { common, .. }
            | FailedCommand::Retry { common, .. }
            | FailedCommand::Purge { common, .. } => common.output,
        }
    }
}

pub async fn run(args: FailedArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let json = args.output().is_json();
    match args.command {
        FailedCommand::List { common } => {
            with_session(common, async |session, queue| list(session, queue, json, ui).await).await
        }
        FailedCommand::Show { failed, body, common } => {
            with_session(common, async |session, queue| show(session, queue, &failed, json, body, ui).await)
                .await
        }
        FailedCommand::Retry { failed, all: false, .. } if failed.is_empty() => Err(usage::no_ids()),
        FailedCommand::Retry { failed, all, common } => {
            let which = if all { Selection::All } else { Selection::Ids(failed.into_iter().collect()) };
            with_session(common, async |session, queue| retry(session, queue, &which, json, ui).await).await
        }
        FailedCommand::Purge { yes, common } => {
            with_session(common, async |session, queue| purge(session, queue, yes, json, ui).await).await
        }
    }
}

async fn with_session(
    common: FailedFlags,
    work: impl AsyncFnOnce(&BrokerConnection, &QueueName) -> Result<ExitStatus, Failure>,
) -> Result<ExitStatus, Failure> {
    let cluster = common.cluster.connect().await?;
    let session =
        BrokerConnection::open(&cluster, &common.cluster.release, "kubectl-workqueue failed").await?;
    let result = match session.require_queue(&common.queue.queue).await {
        Ok(()) => work(&session, &common.queue.queue).await,
        Err(error) => {
            let target = BrokerTarget::Release(cluster, common.cluster.release);
            Err(with_queues(&target, error).await.into())
        }
    };
    session.close().await;
    result
}

async fn list(
    session: &BrokerConnection,
    queue: &QueueName,
    json: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let (mut rows, mut count) = (Vec::new(), 0);
    let mut document = StreamedList::new(queue.as_str(), "items");
    failed::read(session, queue, |message| {
        count += 1;
        if json {
            document.push(ui, &FailedItemJson::from(&message));
        } else {
            rows.push(report::row(&message));
        }
        true
    })
    .await?;
    if json {
        document.finish(ui, &NoMore {});
    } else if count > 0 {
        ui.data(report::list(&rows).as_bytes());
    }
    ui.status(&report::summary(queue, count));
    Ok(ExitStatus::Success)
}

async fn show(
    session: &BrokerConnection,
    queue: &QueueName,
    id: &String,
    json: bool,
    body: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let mut found: Option<FailedMessage> = None;
    failed::read(session, queue, |message| {
        if message.id == *id {
            found = Some(message);
        }
        found.is_none()
    })
    .await?;
    let message = found.ok_or_else(|| report::no_item(queue, [id]))?;
    if body {
        ui.bytes(&message.body);
    } else if json {
        ui.json(&ShownItemJson::from(&message));
    } else {
        ui.data(report::details(&message).as_bytes());
    }
    Ok(ExitStatus::Success)
}

async fn retry(
    session: &BrokerConnection,
    queue: &QueueName,
    which: &Selection,
    json: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let (retried, result) = failed::retry(session, queue, which, ui.interrupted()).await;
    if json {
        ui.json(&RetryJson::of(queue, &retried));
    }
    ui.status(&report::retried(queue, &retried));
    result?;
    let (next, status) = report::retry_end(queue, &retried)?;
    if let Some(next) = next {
        ui.status(next);
    }
    Ok(status)
}

async fn purge(
    session: &BrokerConnection,
    queue: &QueueName,
    yes: bool,
    json: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let count = failed::count(session, queue).await?;
    if !yes && count > 0 && !ui.may_delete(&report::what(queue, count))? {
        return Ok(ExitStatus::Error);
    }
    let purged = failed::purge(session, queue).await?;
    if json {
        ui.json(&PurgeJson::of(queue, purged));
    }
    ui.status(&report::purged(queue, purged));
    Ok(ExitStatus::Success)
}
