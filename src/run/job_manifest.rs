//! The Job of a run: which worker its pods start, how often, and with what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::job::{FAILED_BEFORE_ANNOTATION, HALT_ANNOTATION, ITEMS_ANNOTATION};
use crate::error::Error;
use crate::image::CONSUME_ONE;
use crate::release::manifests::{self};
use crate::release::storage;
use crate::run::plan::{Mode, RunPlan, Work, Worker};
use helm_template::{Chart, ValueSources};
use workqueue_core::names::{RUN_LABEL, random_suffix};

/// Characters of a run's name.
const RUN_LENGTH: usize = 5;

/// Characters of a Job's name: a label of its pods has 63 at most, and `scale` adds a number.
const LONGEST_NAME: usize = 58;

/// The chart's init container that brings the worker.
const INJECTOR: &str = "inject-worker";

/// Where the chart mounts an injected worker, and a script.
const INJECTED_WORKER: &str = "/run/workqueue/bin/workqueue-worker";
const SCRIPT_DIR: &str = "/run/workqueue/script";

/// The worker in an image that was made with it: found on PATH.
const WORKER_IN_IMAGE: &str = "workqueue-worker";

/// Failed pods that a Job with one pod an item bears.
pub const COARSE_BACKOFF_LIMIT: u32 = 3;

/// Failed pods that a Job of draining workers bears. They are no failed items, which the workers
/// settle themselves, but evictions and lost nodes: a long run has some of them.
const FINE_BACKOFF_LIMIT: u32 = 20;

/// The time between a worker's grace period and the end of its pod, for what it gives back.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// What a queue holds when a run starts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contents {
    /// Items to work on.
    pub items: u32,
    /// Items that had failed before.
    pub failed: u32,
}

/// Renders Jobs with a release's chart and values.
pub(crate) struct Renderer {
    chart: Chart,
    values: ValueSources,
    namespace: String,
    version: String,
}

impl Renderer {
    /// Reads chart and values, and tries them: what they or the server refuse is found before
    /// anything is done.
    pub(crate) async fn prepare(cluster: &Cluster, plan: &RunPlan) -> Result<Self, Error> {
        let chart = plan.chart.load_chart()?;
        let values = storage::values_for(cluster, &plan.release, &chart, &plan.chart).await?;
        let version = cluster.server_version().await?;
        let renderer = Self { chart, values, namespace: cluster.namespace().to_owned(), version };
        let tried = renderer.job(plan, Contents { items: 1, failed: 0 })?;
        cluster.create(&tried, true).await?;
        Ok(renderer)
    }

    /// The Job of a new run.
    pub(crate) fn job(&self, plan: &RunPlan, contents: Contents) -> Result<Value, Error> {
        let run = random_suffix(RUN_LENGTH);
        let name = job_name(plan.release.as_str(), &plan.queue.name.slug(), &run);
        let mut values = self.values.clone();
        values.overrides.push(json!({"worker": worker_values(plan, &name, &run, contents)}));
        let rendered =
            manifests::render(&self.chart, &values, &plan.release, &self.namespace, &self.version)?;
        let mut objects = rendered.manifests.into_iter().map(|manifest| manifest.object);
        let mut job = objects.find(|object| object["kind"] == "Job").ok_or(Error::Incomplete("Job"))?;
        if matches!(plan.worker, Worker::Injected(_)) && !brings_worker(&job) {
            return Err(Error::NoWorkerImage);
        }
        manifests::adopt(&mut job, &plan.release);
        // The pods' label finds the logs of all Jobs of a run, whatever the chart.
        job["metadata"]["labels"][RUN_LABEL] = json!(run);
        job["spec"]["template"]["metadata"]["labels"][RUN_LABEL] = json!(run);
        // What `attach` measures progress by.
        job["metadata"]["annotations"][ITEMS_ANNOTATION] = json!(contents.items.to_string());
        job["metadata"]["annotations"][FAILED_BEFORE_ANNOTATION] = json!(contents.failed.to_string());
        if let Some(halt) = &plan.work.halt {
            job["metadata"]["annotations"][HALT_ANNOTATION] = json!(halt.to_string());
        }
        Ok(job)
    }
}

fn brings_worker(job: &Value) -> bool {
    let containers = job.pointer("/spec/template/spec/initContainers").and_then(Value::as_array);
    containers.is_some_and(|containers| containers.iter().any(|container| container["name"] == INJECTOR))
}

fn worker_values(plan: &RunPlan, name: &str, run: &str, contents: Contents) -> Value {
    let parallelism = plan.parallelism.min(contents.items);
    let (completions, backoff_limit) = match plan.mode {
        Mode::Coarse => (contents.items, plan.backoff_limit.unwrap_or(COARSE_BACKOFF_LIMIT)),
        // As many as run at one time: then a pod that is lost is replaced, also when others have
        // already left, and no item that it held is stranded.
        Mode::Fine => (parallelism, plan.backoff_limit.unwrap_or(FINE_BACKOFF_LIMIT)),
    };
    let mut values = json!({
        "name": name,
        "image": plan.image,
        "queue": plan.queue.name.as_str(),
        "run": run,
        "mode": match plan.mode { Mode::Fine => "fine", Mode::Coarse => "coarse" },
        "completions": completions,
        "parallelism": parallelism,
        "backoffLimit": backoff_limit,
    });
    if let Some(command) = command(plan, contents) {
        values["command"] = json!(command);
        let grace = (plan.work.grace + AFTER_GRACE).as_secs();
        values["terminationGracePeriodSeconds"] = json!(grace);
    }
    if let Worker::Injected(Some(image)) = &plan.worker {
        values["inject"] = json!({"image": image});
    }
    if plan.script.is_some() {
        values["script"] = json!({"configMap": name});
    }
    values
}

/// A Job's name: it becomes a label of its pods, and `scale` adds a number to it.
fn job_name(release: &str, queue: &str, run: &str) -> String {
    let mut name = format!("{release}-{queue}");
    name.truncate(LONGEST_NAME - run.len() - 1);
    format!("{}-{run}", name.trim_end_matches(['-', '.']))
}

/// What a pod starts; `None` for the image's own command.
fn command(plan: &RunPlan, contents: Contents) -> Option<Vec<String>> {
    let worker = match &plan.worker {
        Worker::Image => return None,
        Worker::AmqpConsume => return Some(consume_one(&plan.program)),
        Worker::InImage => WORKER_IN_IMAGE,
        Worker::Injected(_) => INJECTED_WORKER,
    };
    let Work { concurrency, retries, backoff, item_timeout, grace, halt } = &plan.work;
    let seconds = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut command = vec![worker.to_owned()];
    command.extend(match plan.mode {
        Mode::Fine => vec!["--drain".to_owned(), format!("--concurrency={concurrency}")],
        // A failed item is settled when it is safe in QUEUE.failed: its pod has done its work.
        Mode::Coarse => vec!["--once".to_owned(), "--settled-is-success".to_owned()],
    });
    command.extend([
        format!("--retries={retries}"),
        format!("--backoff={}..{}", seconds(backoff.initial), seconds(backoff.max)),
        format!("--item-timeout={}", seconds(*item_timeout)),
        format!("--grace={}", seconds(*grace)),
    ]);
    if let Some(halt) = halt {
        command.extend([format!("--halt={halt}"), format!("--failed-before={}", contents.failed)]);
    }
    command.push("--".to_owned());
    command.extend(plan.script.as_ref().map(|script| format!("{SCRIPT_DIR}/{}", script.name)));
    command.extend(plan.program.iter().cloned());
    Some(command)
}

/// The program with the worker around it that the image's `amqp-consume` makes possible.
fn consume_one(program: &[String]) -> Vec<String> {
    let head = ["/bin/sh", "-c", CONSUME_ONE, "worker"].map(str::to_owned);
    head.into_iter().chain(program.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_leave_room_for_a_number_and_fit_a_label() {
        assert_eq!(job_name("workqueue", "job1", "abcde"), "workqueue-job1-abcde");
        let longest = "r".repeat(53);
        assert_eq!(job_name(&longest, "job1", "abcde"), format!("{}-abcde", &longest[..52]));
        assert_eq!(job_name(&"r".repeat(51), "job1", "abcde"), format!("{}-abcde", "r".repeat(51)));
    }
}
