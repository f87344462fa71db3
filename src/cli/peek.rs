//! `peek` and `dump`: shows what is in a queue, and copies it out.

use clap::Args;

use super::broker::BrokerQueueFlags;
use crate::queue::peek;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::line;
use crate::ui::json::messages::{MessageJson, PeekJson};
use crate::ui::reports::queues as report;

/// Show the first items of a queue
///
/// The items stay in the queue, in their order. Workers do not get them while they are shown.
/// Before RabbitMQ 4.3, quorum queues count each look as a delivery: an item that was shown as often
/// as the delivery limit allows is dead-lettered to QUEUE.failed.
#[derive(Debug, Args)]
pub struct PeekArgs {
    /// Show this many items
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    count: u64,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Copy all items of a queue to standard output, one per line
///
/// The items stay in the queue: all of them are held until the last one is copied, and requeued
/// then. Meanwhile, workers find the queue empty. Before RabbitMQ 4.3, a dump counts as a delivery
/// (see `peek`). With -o json each line is an object, and items can contain newlines.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// End items with a NUL byte instead of a newline
    #[arg(short = '0', long)]
    null: bool,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

pub async fn peek(args: PeekArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let json = args.target.output.is_json();
    let mut items = Vec::new();
    let looked = peek::peek(&reach, queue, Some(args.count), |message| {
        if json {
            items.push(MessageJson::from(&message));
        } else {
            ui.data(report::message(&message).as_bytes());
        }
        true
    });
    let looked = args.target.named(&reach, looked.await).await?;
    if json {
        ui.json(&PeekJson::of(queue, items));
    } else if looked.shown == 0 {
        ui.status(&report::empty(queue));
    }
    Ok(ExitStatus::Success)
}

pub async fn dump(args: DumpArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let (json, end) = (args.target.output.is_json(), if args.null { b'\0' } else { b'\n' });
    let looked = peek::peek(&reach, queue, None, |message| {
        if json {
            ui.bytes(format!("{}\n", line(&MessageJson::from(&message))).as_bytes())
        } else {
            let mut body = message.body;
            body.push(end);
            ui.bytes(&body)
        }
    });
    let looked = args.target.named(&reach, looked.await).await?;
    ui.status(&report::dumped(queue, &looked)?);
    Ok(ExitStatus::Success)
}
