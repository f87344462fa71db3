//! Jobs of worker pods: found, watched, scaled, deleted. A run has one, and more once it was scaled
//! up: a Job's completions are fixed, and a drain needs one for each pod.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};

use super::{Cluster, Error, FIELD_MANAGER};
use crate::names::{MODE_LABEL, RUN_LABEL, ReleaseName};

/// Annotation of a Job: the items in its queue when it was made.
pub const ITEMS_ANNOTATION: &str = "kubectl-workqueue/items";
/// Annotation of a Job: the failed items beside its queue when it was made.
pub const FAILED_BEFORE_ANNOTATION: &str = "kubectl-workqueue/failed-before";

/// Annotation of a Job: the rule by which failures end its run.
pub const HALT_ANNOTATION: &str = "kubectl-workqueue/halt";
/// Annotation of a Job that is paused: the pods at one time that it had.
const PAUSED_ANNOTATION: &str = "kubectl-workqueue/paused";

/// The volume by which the chart brings a script into the pods.
const SCRIPT_VOLUME: &str = "worker-script";

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

/// What a watch of a run tells.
#[derive(Debug)]
pub enum RunEvent {
    /// Its state.
    State(Box<JobState>),
    /// The server does not answer, and why.
    Away(String),
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
    fn together(jobs: impl IntoIterator<Item = Self>) -> Option<Self> {
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

    fn of(job: &Job) -> Self {
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

/// The Jobs of a run as a watch shows them.
#[derive(Default)]
struct WatchedJobs {
    /// What was known before the watch.
    known: JobState,
    jobs: BTreeMap<String, JobState>,
    /// Those that the list of a watch that opens has not shown yet.
    unlisted: BTreeSet<String>,
}

impl WatchedJobs {
    fn take(&mut self, event: watcher::Event<Job>) -> Option<JobState> {
        match event {
            watcher::Event::Init => {
                self.unlisted = self.jobs.keys().cloned().collect();
                return None;
            }
            watcher::Event::InitApply(job) => {
                self.put(&job);
                return None;
            }
            watcher::Event::Apply(job) => self.put(&job),
            watcher::Event::Delete(job) => self.gone(&job.name_any()),
            // They went while no watch was open.
            watcher::Event::InitDone => {
                for name in std::mem::take(&mut self.unlisted) {
                    self.gone(&name);
                }
            }
        }
        let deleted = || JobState { end: Some(JobEnd::Deleted), ..self.known.clone() };
        Some(JobState::together(self.jobs.values().cloned()).unwrap_or_else(deleted))
    }

    fn put(&mut self, job: &Job) {
        self.unlisted.remove(&job.name_any());
        self.jobs.insert(job.name_any(), JobState::of(job));
    }

    fn gone(&mut self, name: &str) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        // One that has ended may be tidied away.
        job.end.get_or_insert(JobEnd::Deleted);
        job.active = 0;
    }
}

/// A Job with the template of another, as a manifest: without what the server has put in.
fn copy_of(mut job: Value, name: &str, pods: u32) -> Value {
    let mut labels = job["metadata"]["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|name, _| !is_of_job_controller(name));
    }
    let mut annotations = job["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(PAUSED_ANNOTATION);
        annotations.retain(|name, _| !name.starts_with("kubectl.kubernetes.io/"));
    }
    let mut spec = job["spec"].take();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("selector");
        spec.remove("manualSelector");
    }
    spec["completions"] = json!(pods);
    spec["parallelism"] = json!(pods);
    let of_pods = &mut spec["template"]["metadata"];
    if let Some(labels) = of_pods["labels"].as_object_mut() {
        labels.retain(|name, _| !is_of_job_controller(name));
    }
    if let Some(of_pods) = of_pods.as_object_mut() {
        of_pods.remove("creationTimestamp");
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": spec,
    })
}

/// Labels by which the controller tells the pods of Jobs apart.
fn is_of_job_controller(label: &str) -> bool {
    matches!(label, "controller-uid" | "job-name") || label.starts_with("batch.kubernetes.io/")
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

    /// Every state of a run from now on; the last one has an end. Lost watches are opened again,
    /// and each attempt that fails is told.
    ///
    /// # Errors
    /// A watch that the user may not open.
    pub fn watch_run(&self, run: &JobState) -> impl Stream<Item = Result<RunEvent, Error>> + use<> {
        let cluster = self.clone();
        let config = if run.run.is_empty() {
            watcher::Config::default().fields(&format!("metadata.name={}", run.name))
        } else {
            watcher::Config::default().labels(&format!("{RUN_LABEL}={}", run.run))
        };
        let mut jobs = WatchedJobs { known: run.clone(), ..WatchedJobs::default() };
        watcher::watcher(self.api::<Job>(), config).default_backoff().filter_map(move |event| {
            let next = match event {
                Ok(event) => jobs.take(event).map(|state| Ok(RunEvent::State(Box::new(state)))),
                Err(error) => cluster.watch_error("watching the run's jobs", error).map(|error| {
                    if error.is_refusal() { Err(error) } else { Ok(RunEvent::Away(error.to_string())) }
                }),
            };
            std::future::ready(next)
        })
    }

    /// Sets how many pods of a Job work at one time; `paused` is what to come back to.
    ///
    /// # Errors
    /// As for every request.
    pub async fn set_parallelism(
        &self,
        name: &str,
        parallelism: u32,
        paused: Option<u32>,
    ) -> Result<(), Error> {
        let paused = paused.map(|pods| pods.to_string());
        let patch = json!({
            "metadata": {"annotations": {PAUSED_ANNOTATION: paused}},
            "spec": {"parallelism": parallelism},
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let jobs = self.api::<Job>();
        self.call(format!("scaling job {name}"), jobs.patch(name, &params, &Patch::Merge(&patch))).await?;
        Ok(())
    }

    /// Makes another Job for so many pods more of the same run.
    ///
    /// # Errors
    /// As for every request.
    pub async fn add_job(&self, name: &str, new: &str, pods: u32) -> Result<JobState, Error> {
        let job = self.call(format!("reading job {name}"), self.api::<Job>().get(name)).await?;
        let unreadable = |error: serde_json::Error| Error::Api {
            what: format!("reading job {name}"),
            message: error.to_string(),
            code: None,
        };
        let manifest = copy_of(serde_json::to_value(&job).map_err(unreadable)?, new, pods);
        let added = self.create_job(&manifest).await?;
        self.share_script(&manifest, &added).await?;
        Ok(added)
    }

    /// A script that goes with the first Job of a run must stay as long as the others.
    async fn share_script(&self, manifest: &Value, job: &JobState) -> Result<(), Error> {
        let volumes = manifest["spec"]["template"]["spec"]["volumes"].as_array();
        let script = volumes.into_iter().flatten().find(|volume| volume["name"] == SCRIPT_VOLUME);
        let Some(script) = script.and_then(|volume| volume["configMap"]["name"].as_str()) else {
            return Ok(());
        };
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid});
        let patch = Patch::Strategic(json!({"metadata": {"ownerReferences": [owner]}}));
        let maps = self.api::<ConfigMap>();
        let params = PatchParams::default();
        let patching = maps.patch(script, &params, &patch);
        self.call(format!("sharing config map {script}"), patching).await?;
        Ok(())
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

    /// The error of a watch that will never open because the user may not open it; `None` for all
    /// that heals.
    pub(super) fn watch_refused(&self, what: &str, error: watcher::Error) -> Option<Error> {
        self.watch_error(what, error).filter(Error::is_refusal)
    }

    /// Why a watch does not open; `None` if one that was open has ended, as they do. The watcher
    /// tries again with backoff, in vain where the user may not open it.
    fn watch_error(&self, what: &str, error: watcher::Error) -> Option<Error> {
        match error {
            watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => {
                Some(self.error(what, source))
            }
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

    #[test]
    fn a_watch_sees_jobs_come_and_go() {
        let listed = |name: &str| -> Job {
            let metadata = json!({"name": name, "labels": {RUN_LABEL: "r1"}});
            serde_json::from_value(json!({"metadata": metadata, "spec": {
                "completions": 2, "template": {"spec": {"containers": []}}}}))
            .expect("a job")
        };
        let mut watched = WatchedJobs { known: job("w-r1", 4, None), ..WatchedJobs::default() };
        let mut list = |names: &[&str]| {
            watched.take(watcher::Event::Init);
            for name in names {
                watched.take(watcher::Event::InitApply(listed(name)));
            }
            watched.take(watcher::Event::InitDone).expect("a state")
        };
        assert_eq!(list(&["w-r1"]).completions, Some(2));
        assert_eq!(list(&["w-r1", "w-r1-2"]).completions, Some(4));
        assert_eq!(list(&["w-r1"]).end, None, "one of two is left");
        assert_eq!(list(&[]).end, Some(JobEnd::Deleted));
        let mut unseen = WatchedJobs { known: job("w-r1", 4, None), ..WatchedJobs::default() };
        let state = unseen.take(watcher::Event::InitDone).expect("a state");
        assert_eq!((state.name.as_str(), state.end), ("w-r1", Some(JobEnd::Deleted)));
    }

    #[test]
    fn a_copied_job_has_nothing_of_the_first_ones_controller() {
        let job = json!({
            "metadata": {"name": "w-r1", "uid": "u", "resourceVersion": "7",
                "labels": {RUN_LABEL: "r1", "batch.kubernetes.io/job-name": "w-r1"},
                "annotations": {ITEMS_ANNOTATION: "9", PAUSED_ANNOTATION: "4"}},
            "spec": {"completions": 4, "parallelism": 0, "backoffLimit": 20,
                "selector": {"matchLabels": {"controller-uid": "u"}},
                "template": {
                    "metadata": {"creationTimestamp": null,
                        "labels": {RUN_LABEL: "r1", "controller-uid": "u", "job-name": "w-r1"}},
                    "spec": {"containers": []}}},
            "status": {"active": 4},
        });
        assert_eq!(
            copy_of(job, "w-r1-2", 3),
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "w-r1-2", "labels": {RUN_LABEL: "r1"}, "annotations": {ITEMS_ANNOTATION: "9"}},
                "spec": {"completions": 3, "parallelism": 3, "backoffLimit": 20,
                    "template": {"metadata": {"labels": {RUN_LABEL: "r1"}}, "spec": {"containers": []}}},
            })
        );
    }
}
