//! Queues and the messages in them: the reports of `queues`, `peek`, `dump` and `purge`.

use crate::queue::peek::QueueRow;
use crate::ui::failure::Failure;
use crate::ui::table::table;
use workqueue_amqp::peek::{Peeked, PeekedMessage};
use workqueue_amqp::topology::Depth;
use workqueue_core::names::QueueName;
use workqueue_core::words::count;

/// Bytes of an item that are shown in a list.
const PREVIEW: usize = 72;

/// The queues as a table.
pub fn queue_table<'a>(rows: impl IntoIterator<Item = (&'a QueueName, Depth)>) -> String {
    let cells = rows
        .into_iter()
        .map(|(name, depth)| vec![name.to_string(), depth.ready.to_string(), depth.consumers.to_string()]);
    table(&["QUEUE", "READY", "CONSUMERS"], &cells.collect::<Vec<_>>())
}

/// The queues of a broker as a table.
pub fn list(rows: &[QueueRow]) -> String {
    queue_table(rows.iter().map(|row| (&row.name, row.depth)))
}

/// The list is what was looked for, and may not be all.
pub fn incomplete(queue: &QueueName) -> String {
    format!(
        "queues other than {queue} and {} are not listed: the broker's own tool cannot be run",
        queue.failed()
    )
}

/// What the user is asked about before a purge.
pub fn what(queue: &QueueName, ready: u32) -> String {
    format!("{} of queue {queue}", count(ready, "item"))
}

/// Items were deleted.
pub fn purged(queue: &QueueName, purged: u32) -> String {
    format!("{queue}: {} deleted", count(purged, "item"))
}

/// There is no item to show.
pub fn empty(queue: &QueueName) -> String {
    format!("queue {queue} is empty")
}

/// A message on one line: its id, its beginning, its headers.
pub fn message(message: &PeekedMessage) -> String {
    let id = message.id.as_deref().unwrap_or("-");
    let headers: String = message.headers.iter().map(|(key, value)| format!("  {key}={value}")).collect();
    format!("{id}\t{}{headers}", preview(&message.body))
}

/// The end of a dump.
///
/// # Errors
/// Not all items could be copied.
pub fn dumped(queue: &QueueName, looked: &Peeked) -> Result<String, Failure> {
    let Peeked { shown, missed } = looked;
    if *missed > 0 {
        let message = format!("only {shown} of {} items of queue {queue} could be copied", shown + missed);
        let hint = "workers or other commands hold the rest: pause them, and dump again";
        return Err(Failure::new(message, hint));
    }
    let still = if *shown == 1 { "it is" } else { "they are" };
    Ok(format!("{} copied; {still} still in queue {queue}", count(*shown, "item")))
}

/// The beginning of an item, on one line whatever its bytes.
pub fn preview(body: &[u8]) -> String {
    let head = &body[..body.len().min(PREVIEW)];
    let more = if head.len() < body.len() { "…" } else { "" };
    format!("{}{more}", head.escape_ascii())
}
