//! Jobs of worker pods: made, found, deleted. A run has one, and more once it was scaled up.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use super::{Cluster, Error};
use workqueue_core::names::{MODE_LABEL, RUN_LABEL, ReleaseName};

/// Annotation of a Job: the items in its queue when it was made.
pub const ITEMS_ANNOTATION: &str = "kubectl-workqueue/items";
/// Annotation of a Job: the failed items beside its queue when it was made.
pub const FAILED_BEFORE_ANNOTATION: &str = "kubectl-workqueue/failed-before";
/// Annotation of a Job: the rule by which failures end its run.
pub const HALT_ANNOTATION: &str = "kubectl-workqueue/halt";
/// Annotation of a Job that is paused: the pods at one time that it had.
pub(super) const PAUSED_ANNOTATION: &str = "kubectl-workqueue/paused";

/// The Job of a run at one moment; or all Jobs of a run as one, their pods added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    /// The Job's name.
    pub name: String,
    /// The names of the run's further Jobs.
    pub more: Vec<String>,
    /// Its uid.
    pub uid: String,
    /// The run that it belongs to.
    pub run: String,
    /// The queue that its workers take items from.
    pub queue: String,
    /// How items come to pods: `fine` or `coarse`, where the Job says so.
    pub mode: Option<String>,
    /// Items in the queue when it was made, as far as known.
    pub items: Option<u32>,
    /// Failed items beside the queue when it was made.
    pub failed_before: u32,
    /// Pods that have to succeed; `None` for a Job that ends when its queue is empty.
    pub completions: Option<u32>,
    /// Pods at one time.
    pub parallelism: u32,
    /// The pods at one time that it had before it was paused, if it is.
    pub paused: Option<u32>,
    /// The rule by which failures end the run.
    pub halt: Option<String>,
    /// Pods that run or are about to.
    pub active: u32,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed: u32,
    /// How it ended, once it has.
    pub end: Option<JobEnd>,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
}

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// All completions were reached.
    Complete,
    /// It failed, in the words of its condition.
    Failed {
        /// Such as `BackoffLimitExceeded`.
        reason: String,
        /// The sentence that goes with it.
        message: String,
    },
    /// It was deleted.
    Deleted,
}

impl JobEnd {
    /// What two Jobs of one run have come to. One that was deleted has left its items to the other.
    fn worst(self, other: Self) -> Self {
        match (self, other) {
            (failed @ Self::Failed { .. }, _) | (_, failed @ Self::Failed { .. }) => failed,
            (Self::Deleted, Self::Deleted) => Self::Deleted,
            _ => Self::Complete,
        }
    }
}

impl JobState {
    /// Whether each item gets a pod of its own.
    pub fn is_coarse(&self) -> bool {
        self.mode.as_deref() != Some("fine")
    }

    /// The names of all its Jobs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.more).map(String::as_str)
    }

    /// Pods that still have to succeed; `None` if that is not bounded.
    pub fn remaining(&self) -> Option<u32> {
        self.completions.map(|completions| completions.saturating_sub(self.succeeded))
    }

    /// Selects the pods.
    pub fn pod_selector(&self) -> String {
        if self.run.is_empty() {
            // Newer servers prefix the label with `batch.kubernetes.io/` and keep this one.
            format!("job-name={}", self.name)
        } else {
            format!("{RUN_LABEL}={}", self.run)
        }
    }

    /// The Jobs of one run as one, which is what the oldest says where they cannot be added up.
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
        Self {
            name: job.name_any(),
            more: Vec::new(),
            paused: number(PAUSED_ANNOTATION),
            halt: job.annotations().get(HALT_ANNOTATION).cloned(),
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
    /// Makes a Job.
    ///
    /// # Errors
    /// As for every request.
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
    ///
    /// # Errors
    /// As for every request.
    pub async fn jobs(&self, release: &ReleaseName) -> Result<Vec<JobState>, Error> {
        let list = ListParams::default().labels(&release.component_selector("worker"));
        let mut jobs = self.call("listing jobs", self.api::<Job>().list(&list)).await?.items;
        jobs.sort_by_key(|job| (job.metadata.creation_timestamp.as_ref().map(|time| time.0), job.name_any()));
        Ok(jobs.iter().map(JobState::of).collect())
    }

    /// The runs of a release, oldest first, each with its Jobs as one.
    ///
    /// # Errors
    /// As for every request.
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

    /// Deletes a Job and its pods. One that is gone already is no error.
    ///
    /// # Errors
    /// As for every request.
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
    fn jobs_of_a_run_are_added_up_and_end_together() {
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
