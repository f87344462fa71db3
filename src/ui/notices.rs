//! The sentences for what operations report.

use crate::notice::{Recovery, Wait, Warning};
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;

pub(super) fn wait(wait: &Wait<'_>) -> String {
    match wait {
        Wait::Cluster(what) => (*what).to_owned(),
        Wait::BrokerLogin => "the broker's login".to_owned(),
        Wait::BrokerBack(error) => format!("the broker ({error})"),
        Wait::FinalCount => "the broker, to count what is left".to_owned(),
    }
}

pub(super) fn warning(warning: &Warning<'_>) -> String {
    match warning {
        Warning::ApiServerAway { run, reason } => format!(
            "the API server does not answer ({reason}): run {run} continues meanwhile, and is followed again once \
             it answers"
        ),
        Warning::BrokerAway { reason } => {
            format!("the broker does not answer ({reason}): progress is shown again once it does")
        }
        Warning::BrokerBlocked { reason } => {
            format!("the broker accepts no messages: {reason}; enqueueing continues when that is over")
        }
        Warning::ConnectionBroken { error, in_flight } => {
            format!("{error}; connecting again, with {} not confirmed yet", items(*in_flight as u64))
        }
        Warning::QueueDiffers { queue, reason } => queue_differs(queue, reason),
        Warning::ClassicQueue { queue, reason } => format!(
            "the broker has no quorum queues ({reason}): queue {queue} is a classic queue, where an item that kills \
             its workers is redelivered without end"
        ),
        Warning::EarlierEnqueue { settled } => format!(
            "an earlier enqueue of this input stopped after {}; `enqueue --resume` continues from there, this one \
             enqueues them again",
            items(*settled)
        ),
        Warning::ItemsStayInQueue { items: count, queue } => {
            format!("{} in queue {queue}: to continue, run again without naming them", are(*count))
        }
        Warning::PodDeleted { pod } => {
            format!("pod {pod} was deleted before it had ended; its items are requeued")
        }
        Warning::PodFailed { pod, failure } => format!("pod {pod} {failure}"),
        Warning::LogIncomplete { pod, reason } => format!("the log of pod {pod} is incomplete: {reason}"),
        Warning::LogsLate => "some logs did not arrive in time; `kubectl logs` has them".to_owned(),
        Warning::ImageMisfit { image, nodes } => format!(
            "the image is for {image}, and the nodes are {}: build it with --platform {}",
            nodes.join(" and "),
            nodes.first().unwrap_or(&"")
        ),
        Warning::ItemFailed(record) => {
            format!("item {} failed: attempt {} {}", record.id, record.attempts, record.how())
        }
        Warning::Stopping { running } => {
            format!("ending; {} may finish (press Ctrl-C again to end them)", running_items(*running))
        }
        Warning::Halting { failed, running } => {
            let have = if *failed == 1 { "has" } else { "have" };
            format!("halting: {} {have} failed; {} still run", items(*failed), running_items(*running))
        }
        Warning::Worker(text) => (*text).to_owned(),
    }
}

pub(super) fn recovery(recovery: &Recovery<'_>) -> String {
    match recovery {
        Recovery::ApiServer => "the API server answers again".to_owned(),
        Recovery::Broker => "the broker answers again".to_owned(),
        Recovery::BrokerUnblocked => "the broker accepts messages again".to_owned(),
        Recovery::Connection { place, repeated } => {
            format!("connected again through {place}; {} published again so far", items(*repeated))
        }
    }
}

pub(super) fn retry(record: &ResultRecord, seconds: f64) -> String {
    format!(
        "item {}: attempt {} {}; the next one in {seconds:.1} s",
        record.id,
        record.attempts,
        record.how()
    )
}

fn queue_differs(queue: &QueueName, reason: &str) -> String {
    format!(
        "queue {queue} was made with other arguments and is used as it is; that items survive a crash of the broker, \
         and that an item that keeps failing ends in {}, is not guaranteed ({reason})",
        queue.failed()
    )
}

/// A number of items, in the singular or plural.
pub(crate) fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn are(count: u64) -> String {
    if count == 1 { "1 item is".to_owned() } else { format!("{count} items are") }
}

fn running_items(count: usize) -> String {
    if count == 1 { "1 running item".to_owned() } else { format!("{count} running items") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(
            warning(&Warning::Halting { failed: 1, running: 2 }),
            "halting: 1 item has failed; 2 running items still run"
        );
        assert_eq!((items(0), items(1), items(2)), ("0 items".into(), "1 item".into(), "2 items".into()));
    }

    #[test]
    fn an_image_that_fits_no_node_is_named_with_the_flag_that_builds_one() {
        let misfit = Warning::ImageMisfit { image: "linux/s390x", nodes: &["linux/amd64", "linux/arm64"] };
        assert_eq!(
            warning(&misfit),
            "the image is for linux/s390x, and the nodes are linux/amd64 and linux/arm64: build it with --platform \
             linux/amd64"
        );
    }
}
