//! `peek` and `dump`: shows what is in a queue, and copies it out.

use clap::Args;
use serde_json::{Value, json};

use super::broker::BrokerQueueFlags;
use super::items::{add_body, preview};
use crate::action::look::look;
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;
use workqueue_amqp::peek::{Peeked, PeekedMessage};

/// Show the first items of a queue
///
/// The items stay in the queue, in their order. For the time of the look they are held, so that
/// workers do not get them. A look counts as a delivery where the broker counts what is given
/// back: quorum queues before RabbitMQ 4.3 do, and move an item that was looked at as often as the
/// delivery limit says to QUEUE.failed.
#[derive(Debug, Args)]
pub struct PeekArgs {
    /// Items to show
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    count: u64,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Copy all items of a queue to standard output, one a line
///
/// The items stay in the queue. All of them are held until the last is copied, and given back
/// then: as for `peek`, that counts as a delivery before RabbitMQ 4.3, and workers find the queue
/// empty meanwhile. With -o json each line is an object, whatever bytes an item consists of.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// End items with a NUL byte instead of a newline
    #[arg(short = '0', long)]
    null: bool,
    #[command(flatten)]
    pub target: BrokerQueueFlags,
}

/// Runs `peek`.
pub async fn peek(args: PeekArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let json = args.target.output.is_json();
    let mut rows = Vec::new();
    let looked = look(&reach, queue, Some(args.count), |message| {
        if json {
            rows.push(to_json(&message));
        } else {
            ui.data(in_words(&message).as_bytes());
        }
        true
    });
    let looked = looked.await?;
    if json {
        ui.json(&rows.into());
    } else if looked.shown == 0 {
        ui.status(&format!("queue {queue} is empty"));
    }
    Ok(ExitStatus::Success)
}

/// Runs `dump`.
pub async fn dump(args: DumpArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (reach, queue) = args.target.reach().await?;
    let (json, end) = (args.target.output.is_json(), if args.null { b'\0' } else { b'\n' });
    let shown = look(&reach, queue, None, |message| {
        if json {
            ui.bytes(format!("{}\n", to_json(&message)).as_bytes())
        } else {
            let mut body = message.body;
            body.push(end);
            ui.bytes(&body)
        }
    });
    let Peeked { shown, missed } = shown.await?;
    if missed > 0 {
        let message = format!("{shown} of {} items of queue {queue} copied: no more came", shown + missed);
        let hint = "workers and other commands hold what they have taken; pause them, and dump again";
        return Err(Failure::new(message, hint));
    }
    ui.status(&format!("{shown} items copied; they are still in queue {queue}"));
    Ok(ExitStatus::Success)
}

fn to_json(message: &PeekedMessage) -> Value {
    let mut value = json!({
        "id": message.id,
        "redelivered": message.redelivered,
        "headers": message.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    });
    add_body(&mut value, &message.body);
    value
}

fn in_words(message: &PeekedMessage) -> String {
    let id = message.id.as_deref().unwrap_or("-");
    let headers: String = message.headers.iter().map(|(key, value)| format!("  {key}={value}")).collect();
    format!("{id}\t{}{headers}", preview(&message.body))
}
