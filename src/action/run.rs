//! Runs a Job over what is in a queue.

use std::time::Duration;

use serde_json::{Value, json};

use super::enqueue::{EnqueuePlan, EnqueueReport, enqueue};
use super::heal::ensure_queue;
use super::manifests::ChartPlan;
use super::session::{Reach, Session};
use super::worker_job::{Contents, Mode, Renderer, Script, Work, Worker};
use super::{Error, Event, Observer};
use crate::cluster::Cluster;
use crate::cluster::apply::ObjectRef;
use crate::cluster::job::JobState;
use crate::items::Source;
use workqueue_amqp::publisher::BatchProperties;
use workqueue_amqp::topology::{self, QueueSpec};
use workqueue_core::names::{QueueName, ReleaseName};

/// Failed pods that a Job with one pod an item bears.
pub const COARSE_BACKOFF_LIMIT: u32 = 3;

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
    /// How items come to pods.
    pub mode: Mode,
    /// Which worker takes them.
    pub worker: Worker,
    /// How it treats them.
    pub work: Work,
    /// The program to start for each item, the item on its standard input; or the arguments of
    /// `script`.
    pub program: Vec<String>,
    /// A script to bring into the pods.
    pub script: Option<Script>,
    /// Pods at one time.
    pub parallelism: u32,
    /// Failed pods that the Job bears before it fails; each mode has its own default.
    pub backoff_limit: Option<u32>,
    /// Pods in all, at most, where each item gets one.
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

/// Tells before a long build whether a run could start at all.
///
/// # Errors
/// [`Error::QueueBusy`], and a broker that is not there or not ready.
pub async fn check(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    refuse_busy_queue(cluster, plan).await?;
    cluster.broker_pod(&plan.release).await?;
    Ok(())
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
    let renderer = Renderer::prepare(cluster, &plan).await?;
    refuse_busy_queue(cluster, &plan).await?;

    let mut enqueued = None;
    if let Some(source) = plan.items.take() {
        let enqueueing = EnqueuePlan {
            queue: plan.queue.clone(),
            source,
            max_item_size: plan.max_item_size,
            batch_properties: BatchProperties::default(),
            timeout: plan.enqueue_timeout,
            resume: false,
        };
        let reach = Reach::Release(cluster.clone(), plan.release.clone());
        let (report, result) = enqueue(&reach, enqueueing, observer, interrupt).await;
        if result.is_err() || !report.is_complete() {
            return Ok(Started::NotEnqueued(report, result.err()));
        }
        enqueued = Some(report.confirmed);
    }
    let queue = plan.queue.name.clone();
    let started = start_job(cluster, &renderer, plan, observer, enqueued.is_none()).await;
    if let (Err(_), Some(items)) = (&started, enqueued) {
        observer.on(Event::Note(&format!(
            "{items} items are in queue {queue}: to go on, run again without naming them"
        )));
    }
    started
}

/// Makes the Job for what is in the queue, which is `told` of if it is not as it should be.
async fn start_job(
    cluster: &Cluster,
    renderer: &Renderer,
    plan: RunPlan,
    observer: &dyn Observer,
    told: bool,
) -> Result<Started, Error> {
    let session = Session::open(cluster, &plan.release, "kubectl-workqueue run").await?;
    ensure_queue(&session, &plan.queue, observer, told).await?;
    let contents = contents(&session, &plan.queue.name).await?;
    session.close().await;
    let items = contents.items;
    if items == 0 {
        return Ok(Started::Nothing);
    }
    if plan.mode == Mode::Coarse && items > plan.max_pods {
        return Err(Error::TooManyPods { queue: plan.queue.name, items, limit: plan.max_pods });
    }
    let manifest = renderer.job(&plan, contents)?;
    let job = cluster.create_job(&manifest).await?;
    if let Some(script) = &plan.script {
        // Its pods wait for it; with the Job as its owner it goes when the Job goes.
        let made = cluster.create(&script_map(script, &manifest, &job.uid), false).await;
        if let Err(error) = made {
            // Its pods would wait for ever. That it stays is the lesser error.
            cluster.delete(&ObjectRef::new("batch/v1", "Job", &job.name), false).await.ok();
            return Err(error.into());
        }
    }
    Ok(Started::Job(job))
}

fn script_map(script: &Script, job: &Value, uid: &str) -> Value {
    let name = &job["metadata"]["name"];
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": job["metadata"]["labels"],
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}],
        },
        "data": {script.name.as_str(): script.text},
    })
}

/// Two runs on one queue would take each other's items, and the one that finds too few would
/// wait for ever.
async fn refuse_busy_queue(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    let jobs = cluster.runs(&plan.release).await?;
    let busy = jobs.into_iter().find(|job| job.end.is_none() && job.queue == plan.queue.name.as_str());
    busy.map_or(Ok(()), |job| Err(Error::QueueBusy { run: job.run, queue: plan.queue.name.clone() }))
}

async fn contents(session: &Session, queue: &QueueName) -> Result<Contents, Error> {
    let depth = topology::depth(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    let failed = topology::depth(&session.broker, &queue.failed()).await;
    let failed = failed.map_err(|error| session.explain(error))?;
    Ok(Contents { items: depth.unwrap_or_default().ready, failed: failed.unwrap_or_default().ready })
}
