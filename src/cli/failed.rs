//! `failed`: the items that have failed for good.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failed_report::{as_json, document, in_words, row};
use super::flags::{ClusterFlags, Output, QueueFlags};
use crate::failed::{self, RetryReport, Selection};
use crate::queue::connection::BrokerConnection;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::table::table;
use workqueue_amqp::FailedMessage;
use workqueue_core::names::QueueName;

/// Show the items that have failed, send them back, or delete them
///
/// An item that has used up its attempts, or that killed its workers too often, goes to
/// QUEUE.failed with what is known of its failure. Looking takes nothing out of the queue.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct FailedArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the failed items
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show a failed item: why it failed, the end of its program's stderr, and the item itself
    Show {
        /// The item's id
        #[arg(value_name = "ID")]
        failed: String,
        /// Print the item alone, byte by byte
        #[arg(long, conflicts_with = "output")]
        body: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Put failed items into their queue again
    ///
    /// Each keeps its id and its history, and leaves the failed ones once the broker has confirmed
    /// its copy: when this is interrupted, an item may be in both queues, and never in none.
    Retry {
        /// The items' ids
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        failed: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Delete all failed items
    Purge {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: Output,
}

impl FailedArgs {
    /// The form of what goes to stdout.
    pub fn output(&self) -> Output {
        match &self.command {
            Command::List { common }
            | Command::Show { common, .. }
            | Command::Retry { common, .. }
            | Command::Purge { common, .. } => common.output,
        }
    }
}

/// Runs the command.
pub async fn run(args: FailedArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let json = args.output().is_json();
    match args.command {
        Command::List { common } => {
            with_session(common, async |session, queue| list(session, queue, json, ui).await).await
        }
        Command::Show { failed, body, common } => {
            with_session(common, async |session, queue| show(session, queue, &failed, json, body, ui).await)
                .await
        }
        Command::Retry { failed, all, common } => {
            let which = if all { Selection::All } else { Selection::Ids(failed.into_iter().collect()) };
            with_session(common, async |session, queue| retry(session, queue, &which, json, ui).await).await
        }
        Command::Purge { yes, common } => {
            with_session(common, async |session, queue| purge(session, queue, yes, json, ui).await).await
        }
    }
}

async fn with_session(
    common: Common,
    work: impl AsyncFnOnce(&BrokerConnection, &QueueName) -> Result<ExitStatus, Failure>,
) -> Result<ExitStatus, Failure> {
    let cluster = common.cluster.connect().await?;
    let session =
        BrokerConnection::open(&cluster, &common.cluster.release, "kubectl-workqueue failed").await?;
    let result = work(&session, &common.queue.queue).await;
    session.close().await;
    result
}

const HEADERS: [&str; 8] = ["ID", "REASON", "EXIT", "ATTEMPTS", "FAILURES", "ENDED", "POD", "STDERR"];

async fn list(
    session: &BrokerConnection,
    queue: &QueueName,
    json: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let (mut rows, mut count) = (Vec::new(), 0_u64);
    failed::read(session, queue, |message| {
        count += 1;
        match (json, count) {
            (false, _) => rows.push(row(&message)),
            (true, 1) => ui.data(format!("{{\"items\": [\n{}", as_json(&message)).as_bytes()),
            (true, _) => ui.data(format!(",{}", as_json(&message)).as_bytes()),
        }
        true
    })
    .await?;
    if json {
        let start = if count == 0 { "{\"items\": [" } else { "" };
        ui.data(format!("{start}], {}}}", format_args!("\"queue\": {}", json!(queue.as_str()))).as_bytes());
    } else if count > 0 {
        ui.data(table(&HEADERS, &rows).as_bytes());
    }
    ui.status(&match count {
        0 => format!("{queue}: there are no failed items"),
        _ => format!("{queue}: {count} failed items"),
    });
    Ok(ExitStatus::Success)
}

async fn show(
    session: &BrokerConnection,
    queue: &QueueName,
    id: &str,
    json: bool,
    body: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let mut found: Option<FailedMessage> = None;
    failed::read(session, queue, |message| {
        if message.id == id {
            found = Some(message);
        }
        found.is_none()
    })
    .await?;
    let Some(message) = found else {
        let hint = "`kubectl workqueue failed list` lists them";
        return Err(Failure::new(format!("no failed item of queue {queue} has the id {id:?}"), hint));
    };
    if body {
        ui.bytes(&message.body);
    } else if json {
        ui.json(&document(&message));
    } else {
        ui.data(in_words(&message).as_bytes());
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
    let (report, result) = failed::retry(session, queue, which, ui.interrupted()).await;
    let RetryReport { retried, missing, interrupted } = &report;
    if json {
        ui.json(&json!({
            "queue": queue.as_str(),
            "retried": retried,
            "missing": missing,
            "interrupted": interrupted,
        }));
    }
    ui.status(&format!("{queue}: {retried} items are back in the queue"));
    result?;
    if *interrupted {
        ui.status("interrupted; the others are still among the failed ones");
        return Ok(ExitStatus::Interrupted);
    }
    if !missing.is_empty() {
        let ids: BTreeSet<String> = missing.iter().map(|id| format!("{id:?}")).collect();
        let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
        let hint = "`kubectl workqueue failed list` lists them";
        return Err(Failure::new(format!("no failed item of queue {queue} has the id {ids}"), hint));
    }
    if *retried > 0 {
        ui.status("`kubectl workqueue run` works on them, unless a run is under way");
    }
    Ok(ExitStatus::Success)
}

async fn purge(
    session: &BrokerConnection,
    queue: &QueueName,
    yes: bool,
    json: bool,
    ui: &Ui,
) -> Result<ExitStatus, Failure> {
    let count = failed::count(session, queue).await?;
    if !yes && count > 0 && !ui.may_delete(&format!("{count} failed items of queue {queue}"))? {
        return Ok(ExitStatus::Error);
    }
    let purged = failed::purge(session, queue).await?;
    if json {
        ui.json(&json!({"queue": queue.as_str(), "purged": purged}));
    }
    ui.status(&format!("{queue}: {purged} failed items deleted"));
    Ok(ExitStatus::Success)
}
