//! Runs: what `run`, `attach`, `scale`, `pause` and `resume` report, and the runs of `status`.

use serde::Serialize;

use crate::cluster::job::{JobEnd, JobState};
use crate::run::books::Verdict;
use crate::run::follow::{RunEnd, RunReport};
use crate::run::followed_pods::FailedPod;

/// A run; the report of `run --detach`, `scale`, `pause` and `resume`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunJson<'a> {
    pub run: &'a str,
    /// The first Job of the run.
    pub job: &'a str,
    /// All its Jobs: `scale` can add some.
    pub jobs: Vec<&'a str>,
    pub queue: &'a str,
    /// `fine` or `coarse`.
    pub mode: Option<&'a str>,
    /// The value of `--halt`; `null` without it.
    pub halt: Option<&'a str>,
    /// Items in the queue when the run began.
    pub items_at_start: Option<u32>,
    /// Pods that have to succeed; `null` if the Job does not say.
    pub completions: Option<u32>,
    /// Pods that work concurrently.
    pub parallelism: u32,
    pub paused: bool,
    pub pods: PodsJson,
    /// `complete`, `failed` or `deleted`; `null` while the run continues.
    pub end: Option<&'static str>,
    /// When its first Job was created, RFC 3339.
    pub created: Option<&'a str>,
}

/// Numbers of pods.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodsJson {
    pub active: u32,
    pub succeeded: u32,
    pub failed: u32,
}

impl<'a> From<&'a JobState> for RunJson<'a> {
    fn from(job: &'a JobState) -> Self {
        Self {
            run: &job.run,
            job: &job.name,
            jobs: job.names().collect(),
            queue: &job.queue,
            mode: job.mode.as_deref(),
            halt: job.halt.as_deref(),
            items_at_start: job.items,
            completions: job.completions,
            parallelism: job.parallelism,
            paused: job.paused.is_some(),
            pods: PodsJson { active: job.active, succeeded: job.succeeded, failed: job.failed },
            end: job.end.as_ref().map(end),
            created: job.created.as_deref(),
        }
    }
}

fn end(end: &JobEnd) -> &'static str {
    match end {
        JobEnd::Complete => "complete",
        JobEnd::Failed { .. } => "failed",
        JobEnd::Deleted => "deleted",
    }
}

/// A run that was followed; the report of `run` and `attach`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowedRunJson<'a> {
    #[serde(flatten)]
    pub run: RunJson<'a>,
    /// Whether Ctrl-C ended the following; the run continues.
    pub detached: bool,
    pub failed_pods: Vec<FailedPodJson<'a>>,
    /// What became of the items. `null` if the run continues.
    pub outcome: Option<OutcomeJson<'a>>,
}

/// A run that `stop` has ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedRunJson<'a> {
    #[serde(flatten)]
    pub run: RunJson<'a>,
    /// What became of the items.
    pub outcome: OutcomeJson<'a>,
}

impl<'a> StoppedRunJson<'a> {
    /// From the run's last state.
    pub fn of(job: &'a JobState, verdict: &'a Verdict) -> Self {
        Self { run: RunJson::from(job), outcome: OutcomeJson::from(verdict) }
    }
}

/// A pod that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPodJson<'a> {
    pub pod: &'a str,
    /// Why, as a predicate: `exited with 3`.
    pub reason: &'a str,
    /// The end of its log.
    pub last_lines: &'a [String],
}

/// What became of the items of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeJson<'a> {
    /// What this rests on: `items` (the ledger), `counts` or `none`.
    pub proof: &'static str,
    /// Why nothing is proven. `null` if something is.
    pub doubt: Option<&'a str>,
    /// Items that are done. `null` if nobody has noted it.
    pub done: Option<u64>,
    /// Items that have failed since the run began.
    pub failed: u64,
    /// The first of these, by id.
    pub failed_ids: &'a [String],
    /// Items in the queue that no worker holds. `null` if the broker did not answer.
    pub ready: Option<u64>,
    /// Items that are gone without an outcome.
    pub missing: u64,
    /// The first of these, by id.
    pub missing_ids: &'a [String],
    /// Items that somebody purged from the queue meanwhile.
    pub purged: u64,
    /// How often programs may have been started beyond once per item. `null` without a ledger.
    pub repeats: Option<u64>,
    /// Copies of items that are done, in the queue or in QUEUE.failed.
    pub leftover: u64,
    /// Done items whose output is not kept as a whole, although it was to be.
    pub cut: u64,
    /// The first of these, by id.
    pub cut_ids: &'a [String],
}

impl<'a> From<&'a Verdict> for OutcomeJson<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            proof: verdict.proof.as_str(),
            doubt: verdict.doubt.as_deref(),
            done: verdict.done,
            failed: verdict.failed,
            failed_ids: &verdict.failed_ids,
            ready: verdict.ready,
            missing: verdict.missing,
            missing_ids: &verdict.missing_ids,
            purged: verdict.purged,
            repeats: verdict.repeats,
            leftover: verdict.leftover,
            cut: verdict.cut,
            cut_ids: &verdict.cut_ids,
        }
    }
}

impl<'a> From<&'a RunReport> for FollowedRunJson<'a> {
    fn from(report: &'a RunReport) -> Self {
        Self {
            run: RunJson::from(&report.job),
            detached: report.end == RunEnd::Detached,
            failed_pods: report.failed_pods.iter().map(FailedPodJson::from).collect(),
            outcome: report.verdict.as_ref().map(OutcomeJson::from),
        }
    }
}

impl<'a> From<&'a FailedPod> for FailedPodJson<'a> {
    fn from(pod: &'a FailedPod) -> Self {
        Self { pod: &pod.pod, reason: &pod.reason, last_lines: &pod.last_lines }
    }
}
