//! Watches the Jobs of a run, and combines them into one state. Jobs may be added and deleted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::job::{JobEnd, JobState};
use super::{Cluster, Error, watch_config};
use workqueue_core::names::RUN_LABEL;

#[derive(Debug)]
pub enum RunEvent {
    State(Box<JobState>),
    /// Why the server does not answer.
    Unreachable(String),
}

impl Cluster {
    /// Streams every state of a run from now on; `end` is set in the last one. Reopens the watch if
    /// it breaks, and reports each failed attempt.
    ///
    /// # Errors
    /// The user may not open the watch.
    pub fn watch_run(&self, run: &JobState) -> impl Stream<Item = Result<RunEvent, Error>> + use<> {
        let cluster = self.clone();
        let config = if run.run.is_empty() {
            watch_config().fields(&format!("metadata.name={}", run.name))
        } else {
            watch_config().labels(&format!("{RUN_LABEL}={}", run.run))
        };
        let mut jobs = WatchedJobs { known: run.clone(), ..WatchedJobs::default() };
        watcher::watcher(self.for_streams().api::<Job>(), config).default_backoff().filter_map(move |event| {
            let next = match event {
                Ok(event) => jobs.take(event).map(|state| Ok(RunEvent::State(Box::new(state)))),
                Err(error) => cluster.watch_error("watching the run's jobs", error).map(|error| {
                    if error.is_refusal() { Err(error) } else { Ok(RunEvent::Unreachable(error.to_string())) }
                }),
            };
            std::future::ready(next)
        })
    }
}

/// The Jobs of a run, as seen by the watch.
#[derive(Default)]
struct WatchedJobs {
    /// The state before the watch was opened.
    known: JobState,
    jobs: BTreeMap<String, JobState>,
    /// Jobs that the current list of a reopened watch has not shown yet.
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
            watcher::Event::Delete(job) => self.deleted(&job.name_any()),
            // They were deleted while no watch was open.
            watcher::Event::InitDone => {
                for name in std::mem::take(&mut self.unlisted) {
                    self.deleted(&name);
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

    fn deleted(&mut self, name: &str) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        // A Job that has ended keeps its end: it may have been cleaned up.
        job.end.get_or_insert(JobEnd::Deleted);
        // Nobody waits for its pods any more.
        (job.active, job.parallelism) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_watch_shows_added_and_deleted_jobs() {
        let listed = |name: &str| -> Job {
            let metadata = json!({"name": name, "labels": {RUN_LABEL: "r1"}});
            serde_json::from_value(json!({"metadata": metadata, "spec": {
                "completions": 2, "template": {"spec": {"containers": []}}}}))
            .expect("a job")
        };
        let mut watched = WatchedJobs { known: known(), ..WatchedJobs::default() };
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
        let mut unseen = WatchedJobs { known: known(), ..WatchedJobs::default() };
        let state = unseen.take(watcher::Event::InitDone).expect("a state");
        assert_eq!((state.name.as_str(), state.end), ("w-r1", Some(JobEnd::Deleted)));
    }

    fn known() -> JobState {
        JobState { name: "w-r1".to_owned(), run: "r1".to_owned(), ..JobState::default() }
    }
}
