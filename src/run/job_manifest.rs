//! Builds the manifest of a run's Job from the chart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::job::{
    BATCH_ANNOTATION, FAILED_BEFORE_ANNOTATION, HALT_ANNOTATION, ITEMS_ANNOTATION, LEDGER_ANNOTATION,
    OUTPUTS_ANNOTATION,
};
use crate::error::Error;
use crate::image::CONSUME_ONE;
use crate::notice::Observer;
use crate::release::manifests;
use crate::release::storage;
use crate::run::brought_worker::BroughtWorker;
use crate::run::outputs::room;
use crate::run::plan::{Mode, RunPlan, Work, Worker};
use crate::run::workers_login::WorkersLogin;
use helm_template::{Chart, ValueSources};
use workqueue_core::names::RUN_LABEL;
use workqueue_worker::script::SCRIPT_DIR;

/// In characters: a Job's name becomes a label of its pods, which holds at most 63, and `scale`
/// appends a number.
const MAX_NAME_LENGTH: usize = 58;

/// The chart's init container that copies or unpacks the worker into the pod.
pub(crate) const INJECTOR: &str = "inject-worker";

/// Where the chart mounts an injected worker, and a script for the worker to copy.
const INJECTED_WORKER: &str = "/run/workqueue/bin/workqueue-worker";
const SCRIPT_SOURCE: &str = "/run/workqueue/script-source";

/// The worker in an image that includes it, on PATH.
const WORKER_IN_IMAGE: &str = "workqueue-worker";

/// Failed pods that a Job tolerates whose pods run the image's own command.
const IMAGE_BACKOFF_LIMIT: u32 = 3;

/// Failed pods that a coarse Job with workers tolerates: what the deaths of a few items cost. Other
/// failed items do not count, since the workers settle them.
const COARSE_BACKOFF_LIMIT: u32 = 20;

/// Failed pods that a fine Job tolerates: the deaths of some items, and evictions and lost nodes, of
/// which a long run sees some.
const FINE_BACKOFF_LIMIT: u32 = 100;

/// How much longer than the worker's grace period its pod gets, to requeue items.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// What the queues hold when a run starts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contents {
    /// Items in the queue.
    pub items: u32,
    /// Consumers of the queue, which may hold items.
    pub consumers: u32,
    /// Items that failed before the run.
    pub failed: u32,
    /// Whether there is a ledger for the run.
    pub ledger: bool,
    /// Whether its input goes on, so that nobody knows how many items there will be.
    pub input_goes_on: bool,
}

/// Renders Jobs from a release's chart and values.
pub(crate) struct Renderer {
    chart: Chart,
    values: ValueSources,
    namespace: String,
    version: String,
    /// The worker that the plugin brings, if no image has it.
    pub(crate) worker: Option<BroughtWorker>,
    /// Where its pods find the URL of the broker, unless the chart knows.
    login: Option<WorkersLogin>,
}

impl Renderer {
    /// Loads the chart and its values, and submits a Job made from them as a dry run, so that errors
    /// in them show before anything is changed.
    pub(crate) async fn prepare(cluster: &Cluster, plan: &RunPlan) -> Result<Self, Error> {
        let chart = plan.chart.load_chart()?;
        let values = storage::values_for(cluster, &plan.release, &chart, &plan.chart);
        let version = async { Ok(cluster.server_version().await?) };
        let login = WorkersLogin::find(cluster, &plan.release, &plan.queue.name);
        let (values, version, login) = tokio::try_join!(values, version, login)?;
        let namespace = cluster.namespace().to_owned();
        let mut renderer = Self { chart, values, namespace, version, worker: None, login };
        let contents = Contents { items: 1, ..Contents::default() };
        if plan.worker == Worker::Injected(None) {
            let job = renderer.rendered(plan, "sample", "sample", contents)?;
            if !injects_worker(&job) {
                let selector = job.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
                renderer.worker = Some(BroughtWorker::find(cluster, &plan.release, selector).await?);
            }
        }
        let sample = renderer.job(plan, "sample", contents)?;
        if let Some(outputs) = &plan.outputs {
            room(&sample, outputs.limit)?;
        }
        cluster.create(&sample, true).await?;
        Ok(renderer)
    }

    /// Stores the worker that is brought, if any. Before that, manifests name no ConfigMaps that exist.
    ///
    /// # Errors
    /// What the cluster refuses.
    pub(crate) async fn store_worker(
        &mut self,
        cluster: &Cluster,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        match &mut self.worker {
            Some(worker) => worker.store(cluster, observer).await,
            None => Ok(()),
        }
    }

    /// Stores the login of the workers, if they have one of their own.
    ///
    /// # Errors
    /// What the cluster refuses.
    pub(crate) async fn store_login(&self, cluster: &Cluster) -> Result<(), Error> {
        match &self.login {
            Some(login) => login.store(cluster).await,
            None => Ok(()),
        }
    }

    /// The chart's Job.
    fn rendered(&self, plan: &RunPlan, name: &str, run: &str, contents: Contents) -> Result<Value, Error> {
        let mut values = self.values.clone();
        let archives = self.worker.as_ref().map(BroughtWorker::archives);
        let mut worker = worker_values(plan, name, run, contents, archives);
        if let Some(login) = &self.login {
            worker["urlSecret"] = json!({"name": login.secret, "key": "url"});
        }
        values.overrides.push(json!({"worker": worker}));
        let rendered =
            manifests::render(&self.chart, &values, &plan.release, &self.namespace, &self.version)?;
        let mut objects = rendered.manifests.into_iter().map(|manifest| manifest.object);
        objects.find(|object| object["kind"] == "Job").ok_or(Error::Incomplete("Job"))
    }

    /// The Job of a new run.
    pub(crate) fn job(&self, plan: &RunPlan, run: &str, contents: Contents) -> Result<Value, Error> {
        let name = job_name(plan.release.as_str(), &plan.queue.name.slug(), run);
        let mut job = self.rendered(plan, &name, run, contents)?;
        if matches!(plan.worker, Worker::Injected(_)) && !injects_worker(&job) {
            return Err(Error::ChartLacksWorker);
        }
        manifests::adopt(&mut job, &plan.release);
        // By this label `logs` finds the pods of all Jobs of a run, even with a chart that lacks it.
        job["metadata"]["labels"][RUN_LABEL] = json!(run);
        job["spec"]["template"]["metadata"]["labels"][RUN_LABEL] = json!(run);
        // `attach` measures progress against these.
        if !contents.input_goes_on {
            job["metadata"]["annotations"][ITEMS_ANNOTATION] = json!(contents.items.to_string());
        }
        if let Some(batch) = &plan.batch {
            job["metadata"]["annotations"][BATCH_ANNOTATION] = json!(batch);
        }
        job["metadata"]["annotations"][FAILED_BEFORE_ANNOTATION] = json!(contents.failed.to_string());
        if contents.ledger {
            job["metadata"]["annotations"][LEDGER_ANNOTATION] = json!("true");
        }
        if plan.outputs.is_some() {
            job["metadata"]["annotations"][OUTPUTS_ANNOTATION] = json!("true");
        }
        if let Some(halt) = &plan.work.halt {
            job["metadata"]["annotations"][HALT_ANNOTATION] = json!(halt.to_string());
        }
        Ok(job)
    }
}

fn injects_worker(job: &Value) -> bool {
    let containers = job.pointer("/spec/template/spec/initContainers").and_then(Value::as_array);
    containers.is_some_and(|containers| containers.iter().any(|container| container["name"] == INJECTOR))
}

fn worker_values(
    plan: &RunPlan,
    name: &str,
    run: &str,
    contents: Contents,
    archives: Option<&Value>,
) -> Value {
    let most = if contents.input_goes_on { u32::MAX } else { contents.items };
    let parallelism = plan.parallelism.min(most);
    let completions = match plan.mode {
        Mode::Coarse => contents.items,
        // As many as run concurrently: then a lost pod is replaced even after others have completed,
        // and the item that it held is not stranded.
        Mode::Fine => parallelism,
    };
    let mut values = json!({
        "name": name,
        "image": plan.image,
        "queue": plan.queue.name.as_str(),
        "run": run,
        "mode": match plan.mode { Mode::Fine => "fine", Mode::Coarse => "coarse" },
        "completions": completions,
        "parallelism": parallelism,
        "backoffLimit": plan.backoff_limit.unwrap_or(backoff_limit(plan.mode, &plan.worker)),
    });
    if let Some(command) = command(plan, contents) {
        values["command"] = json!(command);
        let grace = (plan.work.grace + AFTER_GRACE).as_secs();
        values["terminationGracePeriodSeconds"] = json!(grace);
    }
    match (&plan.worker, archives) {
        (Worker::Injected(Some(image)), _) => values["inject"] = json!({"image": image}),
        (Worker::Injected(None), Some(archives)) => values["inject"] = json!({"archives": archives}),
        // Not that of the release either.
        (Worker::InImage, _) => values["inject"] = json!({"image": ""}),
        _ => {}
    }
    if let Some(script) = &plan.script {
        values["script"] = json!({"configMap": name, "sha256": script.sha256()});
        let items = script.items();
        if !items.is_empty() {
            values["script"]["items"] = json!(items);
        }
    }
    values
}

/// Failed pods that a run tolerates, unless the user says how many.
fn backoff_limit(mode: Mode, worker: &Worker) -> u32 {
    match (mode, worker) {
        (_, Worker::Image | Worker::AmqpConsume) => IMAGE_BACKOFF_LIMIT,
        (Mode::Coarse, _) => COARSE_BACKOFF_LIMIT,
        (Mode::Fine, _) => FINE_BACKOFF_LIMIT,
    }
}

fn job_name(release: &str, queue: &str, run: &str) -> String {
    let mut name = format!("{release}-{queue}");
    name.truncate(MAX_NAME_LENGTH - run.len() - 1);
    format!("{}-{run}", name.trim_end_matches(['-', '.']))
}

/// The command of the worker's container; `None` for the image's own.
fn command(plan: &RunPlan, contents: Contents) -> Option<Vec<String>> {
    let worker = match &plan.worker {
        Worker::Image => return None,
        Worker::AmqpConsume => return Some(consume_one(&plan.program)),
        Worker::InImage => WORKER_IN_IMAGE,
        Worker::Injected(_) => INJECTED_WORKER,
    };
    let Work { concurrency, retries, backoff, item_timeout, grace, halt, max_deaths, runtime } = &plan.work;
    let millis = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut command = vec![worker.to_owned()];
    command.extend(match plan.mode {
        Mode::Fine => vec!["--drain".to_owned(), format!("--concurrency={concurrency}")],
        // A failed item is settled once it is in QUEUE.failed: its pod has done its work.
        Mode::Coarse => vec!["--once".to_owned(), "--settled-is-success".to_owned()],
    });
    if contents.ledger {
        command.push("--ledger".to_owned());
        if let Some(outputs) = &plan.outputs {
            command.extend(["--outputs".to_owned(), format!("--output-limit={}", outputs.limit)]);
        }
        if contents.input_goes_on {
            command.push("--await-input".to_owned());
        }
    }
    command.extend([
        format!("--retries={retries}"),
        format!("--backoff={}..{}", millis(backoff.initial), millis(backoff.max)),
        format!("--item-timeout={}", millis(*item_timeout)),
        format!("--grace={}", millis(*grace)),
        format!("--max-deaths={max_deaths}"),
    ]);
    if let Some(halt) = halt {
        command.extend([format!("--halt={halt}"), format!("--failed-before={}", contents.failed)]);
    }
    if let Some(runtime) = runtime {
        command
            .extend(["--runtime-api".to_owned(), format!("--runtime-concurrency={}", runtime.concurrency)]);
        command.extend(runtime.items_as.map(|items_as| format!("--items-as={items_as}")));
    }
    if let Some(script) = &plan.script {
        command.extend([
            format!("--script-source={SCRIPT_SOURCE}"),
            format!("--script-sha256={}", script.sha256()),
        ]);
    }
    command.push("--".to_owned());
    command.extend(plan.script.as_ref().map(|script| format!("{SCRIPT_DIR}/{}", script.entry)));
    command.extend(plan.program.iter().cloned());
    Some(command)
}

/// Runs the program on one item with `amqp-consume` from the image.
fn consume_one(program: &[String]) -> Vec<String> {
    let head = ["/bin/sh", "-c", CONSUME_ONE, "worker"].map(str::to_owned);
    head.into_iter().chain(program.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_count_deaths_may_die_more_often() {
        let limits = [(Mode::Fine, Worker::InImage), (Mode::Coarse, Worker::Injected(None))];
        assert_eq!(limits.map(|(mode, worker)| backoff_limit(mode, &worker)), [100, 20]);
        assert_eq!(backoff_limit(Mode::Coarse, &Worker::Image), 3);
    }

    #[test]
    fn job_names_fit_a_label_with_a_number_appended() {
        assert_eq!(job_name("workqueue", "job1", "abcde"), "workqueue-job1-abcde");
        let longest = "r".repeat(53);
        assert_eq!(job_name(&longest, "job1", "abcde"), format!("{}-abcde", &longest[..52]));
        assert_eq!(job_name(&"r".repeat(51), "job1", "abcde"), format!("{}-abcde", "r".repeat(51)));
    }
}
