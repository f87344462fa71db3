//! The sentences for what operations report.

use crate::notice::{Recovery, Wait, Warning};
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;
use workqueue_core::words::{are, count, have};

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
            "the API server does not answer ({reason}): run {run} continues, and is followed again once the server \
             answers"
        ),
        Warning::BrokerAway { reason } => {
            format!("the broker does not answer ({reason}): progress is shown again once it does")
        }
        Warning::BrokerBlocked { reason } => {
            format!("the broker accepts no messages: {reason}; enqueueing continues once it does")
        }
        Warning::ConnectionBroken { error, in_flight } => {
            format!("{error}; connecting again, with {} not confirmed yet", count(*in_flight as u64, "item"))
        }
        Warning::QueueDiffers { queue, reason } => queue_differs(queue, reason),
        Warning::ClassicQueue { queue, reason } => format!(
            "the broker has no quorum queues ({reason}): queue {queue} is a classic queue, where an item that kills \
             its workers is redelivered forever"
        ),
        Warning::EarlierEnqueue { settled } => format!(
            "an earlier enqueue of this input stopped after {}; `enqueue --resume` continues from there, while \
             this command enqueues them again",
            count(*settled, "item")
        ),
        Warning::ItemsStayInQueue { items, queue } => {
            format!("{} in queue {queue}: to continue, run again without naming items", are(*items, "item"))
        }
        Warning::PodDeleted { pod } => {
            format!("pod {pod} was deleted before it had ended; its items are requeued")
        }
        Warning::PodFailed { pod, failure } => format!("pod {pod} {failure}"),
        Warning::LogIncomplete { pod, reason } => format!("the log of pod {pod} is incomplete: {reason}"),
        Warning::LogsLate => "some logs did not arrive in time; `kubectl logs` has them".to_owned(),
        Warning::ImageMisfit { image, nodes } => format!(
            "the image is for {image}, but the nodes are {}: build it with --platform {}",
            nodes.join(" and "),
            nodes.first().unwrap_or(&"")
        ),
        Warning::ItemFailed(record) => {
            format!("item {} failed: attempt {} {}", record.id, record.attempts, record.how())
        }
        Warning::Stopping { running } => {
            format!(
                "stopping once {} finished (press Ctrl-C again to end them now)",
                have(*running as u64, "running item")
            )
        }
        Warning::Halting { failed, running } => {
            format!(
                "halting: {} failed; {} still running",
                have(*failed, "item"),
                are(*running as u64, "item")
            )
        }
        Warning::CrLf { first } => format!(
            "{first}: the line ends with CR LF, as on Windows, and its item ends with CR: split there with \
             --delimiter '\\r\\n'"
        ),
        Warning::BlankLines { skipped } => format!("{} skipped", have_been(*skipped)),
        Warning::Worker(text) => (*text).to_owned(),
    }
}

pub(super) fn recovery(recovery: &Recovery<'_>) -> String {
    match recovery {
        Recovery::ApiServer => "the API server answers again".to_owned(),
        Recovery::Broker => "the broker answers again".to_owned(),
        Recovery::BrokerUnblocked => "the broker accepts messages again".to_owned(),
        Recovery::Connection { place, repeated } => {
            format!("connected again through {place}; {} published again so far", count(*repeated, "item"))
        }
    }
}

pub(super) fn retry(record: &ResultRecord, seconds: f64) -> String {
    format!(
        "item {}: attempt {} {}; next attempt in {seconds:.1} s",
        record.id,
        record.attempts,
        record.how()
    )
}

fn have_been(blank: u64) -> String {
    format!("{} been", have(blank, "blank line"))
}

fn queue_differs(queue: &QueueName, reason: &str) -> String {
    format!(
        "queue {queue} was created with other arguments and is used as it is ({reason}); items may not survive a crash \
         of the broker, and items that kill their workers may not end up in {}",
        queue.failed()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(
            warning(&Warning::Halting { failed: 1, running: 2 }),
            "halting: 1 item has failed; 2 items are still running"
        );
    }

    #[test]
    fn an_image_that_fits_no_node_is_named_with_the_flag_that_builds_one() {
        let misfit = Warning::ImageMisfit { image: "linux/s390x", nodes: &["linux/amd64", "linux/arm64"] };
        assert_eq!(
            warning(&misfit),
            "the image is for linux/s390x, but the nodes are linux/amd64 and linux/arm64: build it with --platform \
             linux/amd64"
        );
    }
}
