//! Creates, finds and deletes the Jobs of runs. A run has one Job, or several if it was scaled up.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use super::{Cluster, Error};
use workqueue_core::names::{MODE_LABEL, RUN_LABEL, ReleaseName};

/// Annotation of a Job: the number of items in its queue when it was created.
pub const ITEMS_ANNOTATION: &str = "kubectl-workqueue/items";
/// Annotation of a Job: the number of failed items of its queue when it was created.
pub const FAILED_BEFORE_ANNOTATION: &str = "kubectl-workqueue/failed-before";
/// Annotation of a Job: the rule by which failures halt its run.
pub const HALT_ANNOTATION: &str = "kubectl-workqueue/halt";
/// Annotation of a Job: whether its workers keep a ledger.
pub const LEDGER_ANNOTATION: &str = "kubectl-workqueue/ledger";
/// Annotation of a Job: whether its workers keep whole outputs.
pub const OUTPUTS_ANNOTATION: &str = "kubectl-workqueue/outputs";
/// Annotation of a Job: the batch whose items its run works on, if they are in an order.
pub const BATCH_ANNOTATION: &str = "kubectl-workqueue/batch";
/// Annotation of a Job, by the chart: how many bytes of outputs may wait on the broker.
pub const OUTPUTS_BYTES_ANNOTATION: &str = "kubectl-workqueue/outputs-bytes";
/// Annotation of a Job, by the chart: the size of the broker's volume in bytes.
pub const VOLUME_BYTES_ANNOTATION: &str = "kubectl-workqueue/volume-bytes";
/// Annotation of a Job that `stop` has ended.
pub(super) const STOPPED_ANNOTATION: &str = "kubectl-workqueue/stopped";
/// Annotation of a Job whose input was not read to its end: why.
pub(super) const INPUT_CUT_ANNOTATION: &str = "kubectl-workqueue/input-cut";
/// Annotation of a Job: how many closed runs of its queue are kept.
pub const HISTORY_LIMIT_ANNOTATION: &str = "kubectl-workqueue/history-limit";
/// Annotation of a paused Job: its parallelism before it was paused.
pub(super) const PAUSED_ANNOTATION: &str = "kubectl-workqueue/paused";

/// Selects pods that have not ended.
const LIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// The state of a Job; or the combined state of all Jobs of a run, with the sums of their pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    pub name: String,
    /// The names of the run's other Jobs.
    pub more: Vec<String>,
    pub uid: String,
    /// Empty if the Job has no run label.
    pub run: String,
    pub queue: String,
    /// How items are distributed to pods: `fine` or `coarse`; `None` if the Job has no mode label.
    pub mode: Option<String>,
    /// Items in the queue when the Job was created; `None` if unknown.
    pub items: Option<u32>,
    /// Failed items of the queue when the Job was created.
    pub failed_before: u32,
    /// Pods that have to succeed; `None` if the first success ends the Job's need for new pods.
    pub completions: Option<u32>,
    pub parallelism: u32,
    /// The parallelism before the Job was paused; `None` if it is not paused.
    pub paused: Option<u32>,
    /// The rule by which failures halt the run.
    pub halt: Option<String>,
    /// Whether its workers keep a ledger.
    pub ledger: bool,
    /// Whether its workers keep whole outputs.
    pub outputs: bool,
    /// The batch of its items, if they are in an order.
    pub batch: Option<String>,
    /// Whether `stop` has ended it.
    pub stopped: bool,
    /// Why its input was not enqueued to its end, if so.
    pub input_cut: Option<String>,
    /// Pods that are pending or running.
    pub active: u32,
    pub succeeded: u32,
    pub failed: u32,
    /// `None` until the Job ends.
    pub end: Option<JobEnd>,
    /// When the Job was created, in RFC 3339.
    pub created: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    Complete,
    /// `reason` and `message` are those of the condition, such as `BackoffLimitExceeded`.
    Failed {
        reason: String,
        message: String,
    },
    Deleted,
}

impl JobEnd {
    /// The combined end of two Jobs of a run. A deleted Job left its items to the other one.
    fn worst(self, other: Self) -> Self {
        match (self, other) {
            (failed @ Self::Failed { .. }, _) | (_, failed @ Self::Failed { .. }) => failed,
            (Self::Deleted, Self::Deleted) => Self::Deleted,
            _ => Self::Complete,
        }
    }
}

impl JobState {
    /// Whether each item gets its own pod.
    pub fn is_coarse(&self) -> bool {
        self.mode.as_deref() != Some("fine")
    }

    /// The names of all Jobs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.more).map(String::as_str)
    }

    /// Pods that still have to succeed; `None` if the Job has no completions.
    pub fn remaining(&self) -> Option<u32> {
        self.completions.map(|completions| completions.saturating_sub(self.succeeded))
    }

    pub fn pod_selector(&self) -> String {
        if self.run.is_empty() {
            // Newer servers also set the label with the prefix `batch.kubernetes.io/`.
            format!("job-name={}", self.name)
        } else {
            format!("{RUN_LABEL}={}", self.run)
        }
    }

    /// Combines the Jobs of a run. Values that cannot be added are those of the oldest Job.
    pub(super) fn together(jobs: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut jobs: Vec<Self> = jobs.into_iter().collect();
        jobs.sort_by(|a, b| (&a.created, &a.name).cmp(&(&b.created, &b.name)));
        jobs.into_iter().reduce(|run, job| Self {
            completions: run.completions.zip(job.completions).map(|(a, b)| a + b),
            parallelism: run.parallelism + job.parallelism,
            paused: match (run.paused, job.paused) {
                (None, None) => None,
                (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
            },
            active: run.active + job.active,
            succeeded: run.succeeded + job.succeeded,
            failed: run.failed + job.failed,
            end: run.end.zip(job.end).map(|(a, b)| a.worst(b)),
            more: run.more.into_iter().chain([job.name]).collect(),
            ..run
        })
    }

    pub(super) fn of(job: &Job) -> Self {
        let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
        let spec = job.spec.as_ref();
        let status = job.status.as_ref();
        let number = |annotation: &str| job.annotations().get(annotation)?.parse().ok();
        let is_set = |annotation: &str| job.annotations().get(annotation).is_some_and(|set| set == "true");
        Self {
            name: job.name_any(),
            more: Vec::new(),
            paused: number(PAUSED_ANNOTATION),
            halt: job.annotations().get(HALT_ANNOTATION).cloned(),
            stopped: job.annotations().contains_key(STOPPED_ANNOTATION),
            input_cut: job.annotations().get(INPUT_CUT_ANNOTATION).cloned(),
            ledger: is_set(LEDGER_ANNOTATION),
            outputs: is_set(OUTPUTS_ANNOTATION),
            batch: job.annotations().get(BATCH_ANNOTATION).cloned(),
            uid: job.uid().unwrap_or_default(),
            mode: job.labels().get(MODE_LABEL).cloned(),
            items: number(ITEMS_ANNOTATION),
            failed_before: number(FAILED_BEFORE_ANNOTATION).unwrap_or(0),
            run: job.labels().get(RUN_LABEL).cloned().unwrap_or_default(),
            queue: queue_of(job).unwrap_or_default(),
            completions: spec.and_then(|spec| spec.completions).map(|number| count(Some(number))),
            parallelism: count(spec.and_then(|spec| spec.parallelism)),
            active: count(status.and_then(|status| status.active)),
            succeeded: count(status.and_then(|status| status.succeeded)),
            failed: count(status.and_then(|status| status.failed)),
            end: end_of(job),
            created: job.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()),
        }
    }
}

fn queue_of(job: &Job) -> Option<String> {
    let containers = &job.spec.as_ref()?.template.spec.as_ref()?.containers;
    let mut variables = containers.iter().flat_map(|container| container.env.iter().flatten());
    variables.find(|variable| variable.name == "QUEUE")?.value.clone()
}

fn end_of(job: &Job) -> Option<JobEnd> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let mut holding = conditions.iter().filter(|condition| condition.status == "True");
    holding.find_map(|condition| match condition.type_.as_str() {
        "Complete" => Some(JobEnd::Complete),
        "Failed" => Some(JobEnd::Failed {
            reason: condition.reason.clone().unwrap_or_default(),
            message: condition.message.clone().unwrap_or_default(),
        }),
        _ => None,
    })
}

impl Cluster {
    pub async fn create_job(&self, manifest: &Value) -> Result<JobState, Error> {
        let created = self.create(manifest, false).await?;
        let job = created.try_parse().map_err(|error| Error::Api {
            what: "reading the job".to_owned(),
            message: error.to_string(),
            code: None,
        })?;
        Ok(JobState::of(&job))
    }

    /// The Jobs of a release, oldest first.
    pub async fn jobs(&self, release: &ReleaseName) -> Result<Vec<JobState>, Error> {
        let list = ListParams::default().labels(&release.component_selector("worker"));
        let mut jobs = self.call("listing jobs", self.api::<Job>().list(&list)).await?.items;
        jobs.sort_by_key(|job| (job.metadata.creation_timestamp.as_ref().map(|time| time.0), job.name_any()));
        Ok(jobs.iter().map(JobState::of).collect())
    }

    /// The runs of a release, oldest first, each with its Jobs combined.
    pub async fn runs(&self, release: &ReleaseName) -> Result<Vec<JobState>, Error> {
        let mut runs: Vec<Vec<JobState>> = Vec::new();
        for job in self.jobs(release).await? {
            let same = |jobs: &&mut Vec<JobState>| jobs.iter().any(|other| other.run == job.run);
            match runs.iter_mut().find(same).filter(|_| !job.run.is_empty()) {
                Some(jobs) => jobs.push(job),
                None => runs.push(vec![job]),
            }
        }
        Ok(runs.into_iter().filter_map(JobState::together).collect())
    }

    /// The pods that match `selector` and have not ended: those that are being deleted, too.
    pub async fn live_pods(&self, selector: &str) -> Result<Vec<Pod>, Error> {
        let live = ListParams::default().labels(selector).fields(LIVE);
        Ok(self.call("listing pods", self.api::<Pod>().list(&live)).await?.items)
    }

    /// Deletes a Job and its pods. It is not an error if the Job does not exist.
    pub async fn delete_job(&self, name: &str) -> Result<(), Error> {
        let jobs = self.api::<Job>();
        match self.call(format!("deleting job {name}"), jobs.delete(name, &DeleteParams::background())).await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failed_job_ends_and_a_false_condition_does_not() {
        let job = |status: &str| -> Job {
            serde_json::from_value(json!({
                "metadata": {"name": "j", "labels": {RUN_LABEL: "r1"}},
                "spec": {"completions": 8, "parallelism": 2, "template": {"spec": {"containers": [
                    {"name": "worker", "env": [{"name": "QUEUE", "value": "job1"}]}]}}},
                "status": {"succeeded": 3, "failed": 7, "conditions": [
                    {"type": "Failed", "status": status, "reason": "BackoffLimitExceeded", "message": "m"}]},
            }))
            .expect("a job")
        };
        let failed = JobState::of(&job("True"));
        let end = JobEnd::Failed { reason: "BackoffLimitExceeded".to_owned(), message: "m".to_owned() };
        assert_eq!(failed.end, Some(end));
        assert_eq!((failed.completions, failed.succeeded, failed.queue.as_str()), (Some(8), 3, "job1"));
        assert_eq!(JobState::of(&job("False")).end, None);
    }

    fn job(name: &str, pods: u32, end: Option<JobEnd>) -> JobState {
        let [name, run, queue] = [name, "r1", "job1"].map(str::to_owned);
        let completions = Some(pods);
        JobState { name, run, queue, completions, parallelism: pods, end, ..JobState::default() }
    }

    #[test]
    fn jobs_of_a_run_are_added_and_end_together() {
        let failed = || JobEnd::Failed { reason: "BackoffLimitExceeded".to_owned(), message: String::new() };
        let end = |a: Option<JobEnd>, b: Option<JobEnd>| {
            JobState::together([job("w-r1", 4, a), job("w-r1-2", 2, b)]).expect("two").end
        };
        let run = JobState::together([job("w-r1-2", 2, None), job("w-r1", 4, None)]).expect("two");
        assert_eq!((run.completions, run.parallelism), (Some(6), 6));
        assert_eq!(run.names().collect::<Vec<_>>(), ["w-r1", "w-r1-2"]);
        assert_eq!(end(Some(JobEnd::Complete), None), None);
        assert_eq!(end(Some(JobEnd::Complete), Some(JobEnd::Deleted)), Some(JobEnd::Complete));
        assert_eq!(end(Some(JobEnd::Complete), Some(failed())), Some(failed()));
        assert_eq!(end(Some(JobEnd::Deleted), Some(JobEnd::Deleted)), Some(JobEnd::Deleted));
    }
}
