//! The sentences for what operations report.

use crate::cluster::start_wait::StartWait;
use crate::notice::{Recovery, Wait, Warning};
use crate::ui::misfit;
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;
use workqueue_core::words::{are, count, have, were};

pub(super) fn wait(wait: &Wait<'_>) -> String {
    match wait {
        Wait::Cluster(what) => (*what).to_owned(),
        Wait::BrokerLogin => "the broker's login".to_owned(),
        Wait::WorkerStored => {
            "the worker to be stored in ConfigMaps (about 3 MB, once for each version)".to_owned()
        }
        Wait::BrokerBack(error) => format!("the broker ({error})"),
        Wait::Contents => "the broker, to say what is in its queues".to_owned(),
        Wait::Opening => "the broker, to open the books of the run".to_owned(),
        Wait::Books => "the broker, to close the books of the run".to_owned(),
        Wait::Outcomes(waited) => {
            format!("the outcomes that a worker still holds, for {} s", waited.as_secs())
        }
        Wait::OtherCollector { run, consumers } => {
            format!("{} of the outputs of run {run} to leave", count(*consumers, "other reader"))
        }
        Wait::Consumers { queue, consumers } => {
            format!("{} of queue {queue} to leave", count(*consumers, "consumer"))
        }
        Wait::LastPods(pods) => format!("{} to end", count(*pods as u64, "pod")),
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
            "an earlier enqueue of this input stopped after {}; `kubectl workqueue enqueue --resume -f FILE` continues \
             from there, while this command enqueues them again",
            count(*settled, "item")
        ),
        Warning::NotInBook { queue, reason } => format!(
            "the items are in queue {queue}, but not in its book ({reason}): a run over them is proven by counts alone"
        ),
        Warning::InputCut { reason } => {
            format!("the input was not enqueued to its end: {reason}; what is in the queue is processed")
        }
        Warning::InputStaysOpen { run } => format!(
            "the broker or the API server does not answer: the workers of run {run} still wait for input until \
             `kubectl workqueue map --attach {run}` or `kubectl workqueue stop {run}`"
        ),
        Warning::RunStays { run, reason } => format!(
            "what there is of run {run} could not be deleted ({reason}): `kubectl workqueue delete {run}` does"
        ),
        Warning::OldRunsStay { reason } => format!("old runs could not be deleted: {reason}"),
        Warning::OldWorkersStay { reason } => {
            format!("ConfigMaps with workers of older versions could not be deleted: {reason}")
        }
        Warning::NoLedger { reason } => {
            format!("the broker keeps no ledger ({reason}): the run is proven by counts alone")
        }
        Warning::GoneBefore { queue, items, ids } => gone_before(queue, *items, ids),
        Warning::NothingRemembered { release } => format!(
            "there is no record of the values of release {release}, which another program or an earlier version \
             installed: the chart's defaults are used, and what it was given is lost unless it is given again"
        ),
        Warning::ValuesDropped { release, values } => format!(
            "release {release} was given {} before, and is not given {} now: --reuse-values keeps what is not given \
             again",
            values.join(", "),
            if values.len() == 1 { "it" } else { "them" }
        ),
        Warning::ItemsStayInQueue { items, queue } => {
            format!("{} in queue {queue}: to continue, run it again without items", are(*items, "item"))
        }
        Warning::NotStarting(wait) => not_starting(wait),
        Warning::NextPod { due, failure } => {
            let when = match due.as_secs() {
                0 => "the next pod is due".to_owned(),
                seconds => format!("the next pod is due in about {seconds} s"),
            };
            format!("the program does not start: {failure}; {when}")
        }
        Warning::PodDeleted { pod } => {
            format!("pod {pod} was deleted before it had ended; its items are requeued")
        }
        Warning::PodRemains { pod } => format!(
            "pod {pod} does not end, perhaps because its node is lost: items that it holds come back to the queue once \
             the broker notices"
        ),
        Warning::PodFailed { pod, failure, cure } => {
            let cure = cure.map(|cure| format!("; {cure}")).unwrap_or_default();
            format!("pod {pod} {failure}{cure}")
        }
        Warning::LogIncomplete { pod, reason } => format!("the log of pod {pod} is incomplete: {reason}"),
        Warning::LogsLate => "some logs did not arrive in time; `kubectl logs` has them".to_owned(),
        Warning::ImageMisfit { image, nodes, fits_some } => misfit::sentence(image, nodes, *fits_some),
        Warning::OutputsAway { reason } => {
            format!("the broker does not answer ({reason}): outputs are printed again once it does")
        }
        Warning::NotOutputs { queue } => {
            format!("a message in queue {queue} holds no outputs, and is dropped")
        }
        Warning::PrintedTwice { item } => format!(
            "item {item} was being printed when the process was killed: its output comes again, and may be there \
             twice, the first time cut off"
        ),
        Warning::PositionNotSaved => {
            "how far outputs are printed is not saved: if this process is killed, some may be printed twice, and with \
             --keep-order those that wait for earlier ones are lost"
                .to_owned()
        }
        Warning::OutputsLost { run, outputs } => format!(
            "{} of run {run} lost: nobody reads standard output, and without a saved position they were nowhere else",
            are(*outputs, "output")
        ),
        Warning::OutputsFull { run } => format!(
            "the workers of run {run} wait: the broker has no room for more outputs (worker.outputs.size); make \
             some with `kubectl workqueue results --run {run} --outputs DIR --remove`"
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
        Warning::Check { message, hint } => match hint {
            Some(hint) => format!("{message}; {hint}"),
            None => (*message).to_owned(),
        },
        Warning::BlankLines { skipped } => format!("{} skipped", have_been(*skipped)),
        Warning::Worker(text) => (*text).to_owned(),
    }
}

pub(super) fn recovery(recovery: &Recovery<'_>) -> String {
    match recovery {
        Recovery::ApiServer => "the API server answers again".to_owned(),
        Recovery::Broker => "the broker answers again".to_owned(),
        Recovery::OutputsRoom => "the broker has room for outputs again".to_owned(),
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

fn gone_before(queue: &QueueName, items: u64, ids: &[String]) -> String {
    let which = if ids.is_empty() { String::new() } else { format!(" ({}, …)", ids.join(", ")) };
    format!(
        "{} enqueued earlier and not in queue {queue} any more, and no ledger says what became of them{which}: another \
         consumer, or a run without a ledger, has taken them",
        were(items, "item")
    )
}

fn not_starting(wait: &StartWait) -> String {
    let (who, why, seconds) = (wait.who(), wait.why(), wait.waited.as_secs());
    let what = match wait.pods {
        0 => format!("{who} has been unable to create pods for {seconds} s"),
        1 => format!("{who} has been waiting to start for {seconds} s"),
        _ => format!("{who} have been waiting to start for {seconds} s"),
    };
    let end = if wait.is_definite { "; the run ends if this does not change within 40 s" } else { "" };
    let cure = wait.cure().map(|cure| format!("; {cure}")).unwrap_or_default();
    format!("{what}: {why}{end}{cure}; `{}` shows more", wait.next_command())
}

fn have_been(blank: u64) -> String {
    format!("{} been", have(blank, "blank line"))
}

fn queue_differs(queue: &QueueName, reason: &str) -> String {
    if reason.contains("'x-delivery-limit'") {
        return format!(
            "queue {queue} was created with another delivery limit and is used as it is ({reason}); brokers count lost \
             connections and requeued items too, so a low limit moves healthy items to {}",
            queue.failed()
        );
    }
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
    fn what_pods_wait_for_is_said_with_the_next_command() {
        let wait = StartWait {
            reason: "Unschedulable".to_owned(),
            pods: 2,
            object: "w-r1-a".to_owned(),
            message: "0/1 nodes are available: 1 Insufficient cpu.".to_owned(),
            waited: std::time::Duration::from_secs(65),
            is_definite: false,
        };
        assert_eq!(
            warning(&Warning::NotStarting(&wait)),
            "2 pods have been waiting to start for 65 s: Unschedulable: 0/1 nodes are available: 1 Insufficient \
             cpu; `kubectl describe pod w-r1-a` shows more"
        );
    }

    #[test]
    fn a_cluster_that_refuses_fixed_user_ids_is_answered_with_the_values_that_drop_them() {
        let wait = StartWait {
            reason: "FailedCreate".to_owned(),
            pods: 0,
            object: "w-r1".to_owned(),
            message:
                "pods \"w-r1-\" is forbidden: unable to validate against any security context constraint"
                    .to_owned(),
            waited: std::time::Duration::from_secs(5),
            is_definite: false,
        };
        let text = warning(&Warning::NotStarting(&wait));
        assert!(text.contains("--set worker.podSecurityContext.runAsUser=null"), "{text}");
    }

    #[test]
    fn another_delivery_limit_is_named() {
        let queue = "job1".parse().expect("a legal name");
        let reason =
            "inequivalent arg 'x-delivery-limit' for queue 'job1': received '1000' but current is '20'";
        let text = warning(&Warning::QueueDiffers { queue: &queue, reason });
        assert!(text.contains("another delivery limit") && text.contains("current is '20'"), "{text}");
        let text =
            warning(&Warning::QueueDiffers { queue: &queue, reason: "inequivalent arg 'x-queue-type'" });
        assert!(text.contains("other arguments"), "{text}");
    }
}
