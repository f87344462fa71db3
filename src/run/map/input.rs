//! The input of `map`: whether all of it was enqueued, and whether the run accounts for what was.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::start::Enqueued;
use crate::items::InputSource;
use crate::notice::Observer;
use crate::queue::connection::BrokerTarget;
use crate::queue::enqueue::enqueue;
use crate::queue::input_gate::InputGate;
use crate::run::books::{Proof, Verdict};
use crate::run::follow::{RunEnd, RunReport};
use crate::run::plan::RunPlan;
use crate::run::start::enqueue_plan;
use workqueue_core::words::{are, count};

/// How long somebody who has stopped the command waits for the end of the input to reach the broker.
pub(super) const LAST_WAIT: Duration = Duration::from_secs(15);

/// Why an input is incomplete whose reader is gone.
pub(super) const KILLED: &str = "the process that read it was killed before its end";

/// Why an input is incomplete that was left while it was read.
pub(super) const LEFT: &str = "its reading was given up";

/// An input that this process reads.
pub(super) struct ReadInput {
    pub gate: Arc<InputGate>,
    /// Ends the reading.
    pub stop_tx: watch::Sender<bool>,
}

/// Reads and enqueues the input.
pub(super) async fn read(
    target: &BrokerTarget,
    plan: &RunPlan,
    source: InputSource,
    gate: Arc<InputGate>,
    observer: &dyn Observer,
    [mut stop_rx, mut interrupted_rx]: [watch::Receiver<bool>; 2],
) -> Enqueued {
    let interrupt = async {
        tokio::select! {
            () = is_set(&mut stop_rx) => {}
            () = is_set(&mut interrupted_rx) => {}
        }
    };
    enqueue(target, enqueue_plan(plan, source, Some(gate)), observer, interrupt).await
}

/// Waits until something is so; for ever if nobody can say so any more.
pub(super) async fn is_set(state_rx: &mut watch::Receiver<bool>) {
    if state_rx.wait_for(|is| *is).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Does the last that is to be done; for `limit` only once the user has stopped the command. `None` if it was
/// given up.
pub(super) async fn while_wanted<T>(
    ending: impl Future<Output = T>,
    interrupted_rx: &mut watch::Receiver<bool>,
    limit: Duration,
) -> Option<T> {
    let given_up = async {
        is_set(interrupted_rx).await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        biased;
        ended = ending => Some(ended),
        () = given_up => None,
    }
}

/// Why an input was not enqueued to its end, if so.
pub(super) fn cut((report, result): &Enqueued) -> Option<String> {
    match result {
        Err(error) => Some(error.to_string()),
        Ok(()) if report.interrupted => {
            Some(format!("its reading was stopped after {}", count(report.confirmed, "item")))
        }
        Ok(()) if !report.is_complete() => {
            let lacking = report.read.saturating_sub(report.confirmed);
            Some(format!("{} not in the queue", are(lacking, "item")))
        }
        Ok(()) => None,
    }
}

/// Compares the verdict on a run with the number of items that this process has enqueued: the book may lack
/// them. `is_late` if some of them may have come after the run's end, and are left in the queue then.
pub(super) fn account(run: &mut RunReport, enqueued: u64, is_late: bool) {
    let is_complete = run.end == RunEnd::Complete;
    let Some(Verdict { done: Some(done), ready: Some(ready), .. }) = run.verdict else { return };
    let Some(verdict) = &mut run.verdict else { return };
    let lacking = enqueued.saturating_sub(done + verdict.failed + ready + verdict.missing + verdict.purged);
    if lacking == 0 || verdict.doubt.is_some() {
        return;
    }
    if is_late || !is_complete {
        verdict.ready = Some(ready + lacking);
    } else {
        verdict.proof = Proof::None;
        let (lacking, all) = (are(lacking, "item"), count(enqueued, "item"));
        verdict.doubt = Some(format!("of {all} that were enqueued, {lacking} gone without an outcome"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::job::JobState;
    use crate::error::Error;
    use crate::queue::enqueue_report::EnqueueReport;

    #[test]
    fn an_input_is_whole_only_if_it_was_read_to_its_end_and_every_item_confirmed() {
        let report = |read, confirmed, interrupted| EnqueueReport {
            read,
            confirmed,
            interrupted,
            ..EnqueueReport::default()
        };
        assert_eq!(cut(&(report(3, 3, false), Ok(()))), None);
        assert_eq!(cut(&(report(3, 2, false), Ok(()))).as_deref(), Some("1 item is not in the queue"));
        let stopped = cut(&(report(3, 3, true), Ok(())));
        assert_eq!(stopped.as_deref(), Some("its reading was stopped after 3 items"));
        assert!(cut(&(report(3, 3, false), Err(Error::NoHome))).is_some());
    }

    #[tokio::test]
    async fn who_has_stopped_the_command_waits_for_the_broker_for_a_while_only() {
        let (interrupted_tx, mut interrupted_rx) = watch::channel(false);
        let (soon, never) = (|| tokio::time::sleep(Duration::from_millis(50)), std::future::pending::<()>);
        let ended = while_wanted(soon(), &mut interrupted_rx, Duration::ZERO).await;
        assert_eq!(ended, Some(()), "nobody has stopped it");
        interrupted_tx.send_replace(true);
        assert_eq!(while_wanted(soon(), &mut interrupted_rx, LAST_WAIT).await, Some(()));
        assert_eq!(while_wanted(never(), &mut interrupted_rx, Duration::from_millis(10)).await, None);
    }

    #[test]
    fn items_that_the_book_lacks_are_a_doubt_and_late_ones_are_left() {
        let account = |end: RunEnd, done: u64, is_late: bool| {
            let verdict =
                Verdict { proof: Proof::Counts, done: Some(done), ready: Some(1), ..Verdict::default() };
            let (job, failed_pods) = (JobState::default(), Vec::new());
            let mut run = RunReport { job, end, failed_pods, verdict: Some(verdict) };
            account(&mut run, 10, is_late);
            let verdict = run.verdict.expect("one");
            (verdict.proof, verdict.ready, verdict.doubt)
        };
        assert_eq!(account(RunEnd::Complete, 9, false), (Proof::Counts, Some(1), None));
        let (proof, _, doubt) = account(RunEnd::Complete, 7, false);
        assert_eq!(proof, Proof::None);
        let said = "of 10 items that were enqueued, 2 items are gone without an outcome";
        assert_eq!(doubt.as_deref(), Some(said));
        assert_eq!(account(RunEnd::Complete, 7, true), (Proof::Counts, Some(3), None));
        assert_eq!(account(RunEnd::Deleted, 7, false), (Proof::Counts, Some(3), None));
    }
}
