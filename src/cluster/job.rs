//! Jobs of worker pods: found, watched, deleted.

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;

use super::{Cluster, Error};
use crate::names::{MODE_LABEL, RUN_LABEL, ReleaseName};

/// Annotation of a Job: the items in its queue when it was made.
pub const ITEMS_ANNOTATION: &str = "kubectl-workqueue/items";
/// Annotation of a Job: the failed items beside its queue when it was made.
pub const FAILED_BEFORE_ANNOTATION: &str = "kubectl-workqueue/failed-before";

/// A Job at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    /// The Job's name.
    pub name: String,
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

impl JobState {
    /// Whether each item gets a pod of its own.
    pub fn is_coarse(&self) -> bool {
        self.mode.as_deref() != Some("fine")
    }

    fn of(job: &Job) -> Self {
        let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
        let spec = job.spec.as_ref();
        let status = job.status.as_ref();
        let number = |annotation: &str| job.annotations().get(annotation)?.parse().ok();
        Self {
            name: job.name_any(),
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

/// The selector of the pods of a Job. Newer servers prefix the label with `batch.kubernetes.io/`
/// and keep this one.
pub fn pods_of_job(job: &str) -> String {
    format!("job-name={job}")
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
        jobs.sort_by_key(|job| job.metadata.creation_timestamp.as_ref().map(|time| time.0));
        Ok(jobs.iter().map(JobState::of).collect())
    }

    /// Every state of a Job from now on; the last one has an end. Lost watches are opened again.
    ///
    /// # Errors
    /// A watch that the user may not open.
    pub fn watch_job(&self, name: &str) -> impl Stream<Item = Result<JobState, Error>> + use<> {
        let cluster = self.clone();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut last = None;
        let mut listed = false;
        watcher::watcher(self.api::<Job>(), config).default_backoff().filter_map(move |event| {
            let gone = |last: &Option<JobState>| {
                last.clone().map(|state: JobState| Ok(JobState { end: Some(JobEnd::Deleted), ..state }))
            };
            let next = match event {
                Ok(watcher::Event::Apply(job) | watcher::Event::InitApply(job)) => {
                    listed = true;
                    let state = JobState::of(&job);
                    last = Some(state.clone());
                    Some(Ok(state))
                }
                Ok(watcher::Event::Init) => {
                    listed = false;
                    None
                }
                // A list without it, after it had been seen: it went while no watch was open.
                Ok(watcher::Event::InitDone) if !listed => gone(&last),
                Ok(watcher::Event::InitDone) => None,
                Ok(watcher::Event::Delete(_)) => gone(&last),
                Err(error) => cluster.watch_refused("watching the job", error).map(Err),
            };
            std::future::ready(next)
        })
    }

    /// Deletes a Job and its pods. One that is gone already is no error.
    ///
    /// # Errors
    /// As for every request.
    pub async fn delete_job(&self, name: &str) -> Result<(), Error> {
        let deleting = self.api::<Job>();
        match self
            .call(format!("deleting job {name}"), deleting.delete(name, &DeleteParams::background()))
            .await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The error of a watch that will never open because the user may not open it; `None` for all
    /// that heals: the watcher tries again with backoff.
    pub(super) fn watch_refused(&self, what: &str, error: watcher::Error) -> Option<Error> {
        let source = match error {
            watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => source,
            _ => return None,
        };
        match self.error(what, source) {
            error @ (Error::Forbidden { .. } | Error::Unauthorized { .. }) => Some(error),
            _ => None,
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
}
