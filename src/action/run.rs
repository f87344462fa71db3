//! Runs a Job over what is in a queue: as many completions as there are items.

use std::time::Duration;

use serde_json::json;

use super::enqueue::{EnqueuePlan, EnqueueReport, enqueue};
use super::heal::ensure_queue;
use super::manifests::{self, ChartPlan};
use super::session::{Reach, Session};
use super::{Error, Observer, record};
use crate::broker::publisher::Envelopes;
use crate::broker::topology::{self, QueueSpec};
use crate::chart::{Chart, ValueSources};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::item::Source;
use crate::names::{QueueName, ReleaseName, random_suffix};

/// Characters of a run's name.
const RUN_LENGTH: usize = 5;

/// What to run.
pub struct RunPlan {
    /// The release whose broker holds the queue.
    pub release: ReleaseName,
    /// The queue, made if it is missing.
    pub queue: QueueSpec,
    /// Items to enqueue first.
    pub items: Option<Source>,
    /// Larger items are refused; bytes.
    pub max_item_size: usize,
    /// Give up enqueuing after this long without progress; 0 for never.
    pub enqueue_timeout: Duration,
    /// The workers' image.
    pub image: String,
    /// A program to start once an item, the item on its standard input; without one the image's
    /// own command does it all.
    pub program: Vec<String>,
    /// Pods at one time.
    pub parallelism: u32,
    /// Failed pods that the Job bears before it fails.
    pub backoff_limit: u32,
    /// Pods in all, at most.
    pub max_pods: u32,
    /// Chart and values beyond those that `up` was given.
    pub chart: ChartPlan,
}

/// What came of starting.
pub enum Started {
    /// The Job runs.
    Job(JobState),
    /// There was nothing in the queue.
    Nothing,
    /// Not all items got into the queue; no Job was made.
    NotEnqueued(EnqueueReport, Option<Error>),
}

/// Enqueues what is given, and makes the Job.
///
/// # Errors
/// [`Error::QueueBusy`] when a run takes items from the queue already, [`Error::TooManyPods`],
/// and what chart, cluster and broker refuse.
pub async fn start(
    cluster: &Cluster,
    mut plan: RunPlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<Started, Error> {
    // The chart and its values are tried before anything is changed.
    let chart = plan.chart.load_chart()?;
    let values = record::values_for(cluster, &plan.release, &chart, &plan.chart).await?;
    let version = cluster.server_version().await?;
    let renderer = Renderer { chart, values, namespace: cluster.namespace(), version };
    renderer.job(&plan, "preview", 1)?;
    refuse_busy_queue(cluster, &plan).await?;

    let enqueued = plan.items.is_some();
    if let Some(source) = plan.items.take() {
        let enqueueing = EnqueuePlan {
            queue: plan.queue.clone(),
            source,
            max_item_size: plan.max_item_size,
            envelopes: Envelopes::default(),
            timeout: plan.enqueue_timeout,
            resume: false,
        };
        let reach = Reach::Release(cluster.clone(), plan.release.clone());
        let (report, result) = enqueue(&reach, enqueueing, observer, interrupt).await;
        if result.is_err() || !report.is_complete() {
            return Ok(Started::NotEnqueued(report, result.err()));
        }
    }
    let session = Session::open(cluster, &plan.release, "kubectl-workqueue run").await?;
    ensure_queue(&session, &plan.queue, observer, !enqueued).await?;
    let items = ready_items(&session, &plan.queue.name).await?;
    session.close().await;
    if items == 0 {
        return Ok(Started::Nothing);
    }
    if items > plan.max_pods {
        return Err(Error::TooManyPods { queue: plan.queue.name, items, limit: plan.max_pods });
    }
    let run = random_suffix(RUN_LENGTH);
    let manifest = renderer.job(&plan, &run, items)?;
    let name =
        manifest.pointer("/metadata/name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    cluster.create(&manifest, false).await?;
    Ok(Started::Job(JobState::started(&name, &run, plan.queue.name.as_str(), items, plan.parallelism)))
}

/// Two runs on one queue would take each other's items, and the one that finds too few would
/// wait for ever.
async fn refuse_busy_queue(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    let jobs = cluster.jobs(&plan.release).await?;
    let busy = jobs.into_iter().find(|job| job.end.is_none() && job.queue == plan.queue.name.as_str());
    busy.map_or(Ok(()), |job| Err(Error::QueueBusy { run: job.run, queue: plan.queue.name.clone() }))
}

async fn ready_items(session: &Session, queue: &QueueName) -> Result<u32, Error> {
    let depth = topology::depth(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    Ok(depth.unwrap_or_default().ready)
}

struct Renderer<'a> {
    chart: Chart,
    values: ValueSources,
    namespace: &'a str,
    version: String,
}

impl Renderer<'_> {
    fn job(&self, plan: &RunPlan, run: &str, completions: u32) -> Result<serde_json::Value, Error> {
        let mut worker = json!({
            "name": format!("{}-{}-{run}", plan.release, plan.queue.name.slug()),
            "image": plan.image,
            "queue": plan.queue.name.as_str(),
            "run": run,
            "completions": completions,
            "parallelism": plan.parallelism.min(completions),
            "backoffLimit": plan.backoff_limit,
        });
        if !plan.program.is_empty() {
            worker["command"] = json!(consume_one(&plan.program));
        }
        let mut values = self.values.clone();
        values.overrides.push(json!({"worker": worker}));
        let rendered = manifests::render(&self.chart, &values, &plan.release, self.namespace, &self.version)?;
        let mut objects = rendered.manifests.into_iter().map(|manifest| manifest.object);
        objects.find(|object| object["kind"] == "Job").ok_or(Error::Incomplete("Job"))
    }
}

/// Takes one item with `amqp-consume` and acknowledges it when the program exits with 0.
///
/// Around the tool because of two of its ways (measured with rabbitmq-c 0.11): it exits with 0
/// though its program failed, so that the pod would count as succeeded while its item goes back
/// to the queue; and it dies of SIGPIPE when the program ends without reading its input. The
/// shell also keeps the URL, and the password in it, out of the Job's manifest.
const CONSUME_ONE: &str = r#"dir=$(mktemp -d) || exit
amqp-consume --url="$BROKER_URL" -q "$QUEUE" -c 1 -- /bin/sh -c '
  cat >"$0/item" && "$@" <"$0/item"; status=$?; echo $status >"$0/status"; exit $status
' "$dir" "$@" || exit
exit "$(cat "$dir/status")""#;

fn consume_one(program: &[String]) -> Vec<String> {
    let head = ["/bin/sh", "-c", CONSUME_ONE, "worker"].map(str::to_owned);
    head.into_iter().chain(program.iter().cloned()).collect()
}
