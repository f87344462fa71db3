//! Starts a run: enqueues its items and creates the Job.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::job::{HISTORY_LIMIT_ANNOTATION, JobState};
use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::items::InputSource;
use crate::notice::{Notice, Observer, Wait, Warning};
use crate::queue::connection::{BrokerConnection, BrokerTarget, is_transient};
use crate::queue::declare::ensure_queue;
use crate::queue::enqueue::{EnqueuePlan, enqueue};
use crate::queue::enqueue_report::EnqueueReport;
use crate::queue::input_gate::InputGate;
use crate::run::books::{self, Opening, Own};
use crate::run::delete;
use crate::run::job_manifest::{Contents, Renderer};
use crate::run::outputs::room;
use crate::run::plan::{Mode, RunPlan};
use workqueue_amqp::publisher::BatchProperties;
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::ledger::ItemSet;
use workqueue_core::names::{QueueName, RUN_LENGTH, ReleaseName, random_suffix};

/// The name of the connection in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue run";

/// How often opening the books is repeated, and the pause before.
const OPENING_RETRIES: u32 = 5;
const OPENING_PAUSE: Duration = Duration::from_secs(1);

pub enum Started {
    /// The Job was created, after so many new items were enqueued.
    Job { job: JobState, new: u64 },
    /// The queue is empty: no Job was created.
    Nothing,
    /// Not all items reached the queue: no Job was created.
    NotEnqueued(EnqueueReport, Option<Error>),
}

/// Checks before a long build that a run could start at all.
///
/// # Errors
/// [`Error::QueueBusy`]; a broker that is missing or not ready.
pub async fn check(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    refuse_busy_queue(cluster, plan).await?;
    cluster.broker_pod(&plan.release).await?;
    Ok(())
}

/// Enqueues the plan's items, if it has any, and creates the Job.
///
/// # Errors
/// [`Error::QueueBusy`] when another run is working on the queue; [`Error::TooManyPods`]; what the
/// chart, the cluster or the broker refuse.
pub async fn start(
    cluster: &Cluster,
    mut plan: RunPlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<Started, Error> {
    let preparing = Renderer::prepare(cluster, &plan);
    let connecting = BrokerConnection::open_ahead(cluster, &plan.release, PURPOSE);
    let checking = async {
        tokio::try_join!(preparing, refuse_busy_queue(cluster, &plan), require_broker(cluster, &plan))
    };
    let (checked, ()) = tokio::join!(checking, connecting);
    let (mut renderer, (), ()) = checked?;
    renderer.store_worker(cluster, observer).await?;

    let mut own = None;
    if let Some(source) = plan.items.take() {
        let enqueueing = enqueue_plan(&plan, source, None);
        let target = BrokerTarget::Release(cluster.clone(), plan.release.clone());
        let (report, result) = enqueue(&target, enqueueing, observer, interrupt).await;
        if result.is_err() || !report.is_complete() {
            return Ok(Started::NotEnqueued(report, result.err()));
        }
        if report.blank > 0 {
            observer.warn(Warning::BlankLines { skipped: report.blank });
        }
        own = Some(report.items);
    }
    let queue = plan.queue.name.clone();
    let started = start_job(cluster, &renderer, &plan, observer, Input::Ended(own.as_ref())).await;
    match (started, own.map_or(0, |own| own.len())) {
        (started, 0) => started,
        (Ok(Started::Nothing), items) => Err(Error::ItemsTaken { items, queue }),
        (Err(error), items) => {
            observer.warn(Warning::ItemsStayInQueue { items, queue: &queue });
            Err(error)
        }
        (started, _) => started,
    }
}

/// Where the items of a Job come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// They are in the queue. This command has enqueued these, if any.
    Ended(Option<&'a ItemSet>),
    /// This command enqueues this batch; there were none before.
    GoesOn(&'a str),
}

impl Input<'_> {
    /// Items that this command has enqueued before the Job.
    fn new_items(self) -> u64 {
        match self {
            Self::Ended(Some(own)) => own.len(),
            Self::Ended(None) | Self::GoesOn(_) => 0,
        }
    }
}

/// How the items of a plan are enqueued.
pub(super) fn enqueue_plan(plan: &RunPlan, source: InputSource, gate: Option<Arc<InputGate>>) -> EnqueuePlan {
    EnqueuePlan {
        queue: plan.queue.clone(),
        source,
        max_item_size: plan.max_item_size,
        batch_properties: BatchProperties::default(),
        timeout: plan.enqueue_timeout,
        resume: false,
        batch: plan.batch.clone(),
        gate,
    }
}

/// Opens the books of the run, and creates the Job for the items in the queue. Unless this command has
/// enqueued some, declares the queue, and reports an existing one that lacks guarantees.
pub(super) async fn start_job(
    cluster: &Cluster,
    renderer: &Renderer,
    plan: &RunPlan,
    observer: &dyn Observer,
    input: Input<'_>,
) -> Result<Started, Error> {
    observer.on(Notice::Waiting(Wait::Opening));
    let connection = BrokerConnection::open(cluster, &plan.release, PURPOSE).await?;
    if plan.must_exist {
        connection.require_queue(&plan.queue.name).await?;
    }
    if matches!(input, Input::Ended(None)) {
        ensure_queue(&connection, &plan.queue, observer, true).await?;
    }
    let mut contents = contents(&connection, &plan.queue.name).await?;
    contents.input_goes_on = matches!(input, Input::GoesOn(_));
    let items = contents.items;
    if !contents.input_goes_on && items == 0 && contents.consumers > 0 {
        let (queue, consumers) = (plan.queue.name.clone(), contents.consumers);
        return Err(Error::ItemsHeld { queue, consumers });
    }
    if !contents.input_goes_on && items == 0 {
        return Ok(Started::Nothing);
    }
    if plan.mode == Mode::Coarse && items > plan.max_pods {
        return Err(Error::TooManyPods { queue: plan.queue.name.clone(), items, limit: plan.max_pods });
    }
    if plan.worker.keeps_ledger() {
        books::room::check(cluster, &connection, items.into()).await?;
    }
    let (run, none) = (random_suffix(RUN_LENGTH), ItemSet::default());
    let (items, own) = match input {
        Input::Ended(own) => (items.into(), Own::Items(own.unwrap_or(&none))),
        // Those of this command come into the book at the end of the input, which may be just now.
        Input::GoesOn(batch) => (0, Own::Batch(batch)),
    };
    let ledger = plan.worker.keeps_ledger();
    let opening = Opening { queue: &plan.queue.name, run: &run, items, own, ledger };
    let (connection, ledger) = open_books(connection, cluster, &plan.release, &opening, observer).await?;
    contents.ledger = ledger;
    let creating = async {
        let manifest = renderer.job(plan, &run, contents)?;
        declare_outputs(&connection, plan, &run, &manifest, contents).await?;
        renderer.store_login(cluster).await?;
        let job = cluster.create_job(&manifest).await?;
        Ok::<_, Error>((manifest, job))
    };
    let (manifest, job) = match creating.await {
        Ok(created) => created,
        Err(error) => {
            undo(cluster, &connection, plan, &run, None, observer).await;
            return Err(error);
        }
    };
    if let Err(error) = complete_job(cluster, renderer, plan, &manifest, &job, observer).await {
        undo(cluster, &connection, plan, &run, Some(&job), observer).await;
        return Err(error);
    }
    prune(cluster, &connection, plan, &manifest, observer).await;
    if let Some(worker) = &renderer.worker
        && let Err(error) = worker.prune(cluster).await
    {
        observer.warn(Warning::OldWorkersStay { reason: &error.to_string() });
    }
    connection.close().await;
    Ok(Started::Job { job, new: input.new_items() })
}

/// Deletes what there is of a run that cannot start: pods of its Job would wait for ever. The first error
/// matters more than what stays, which is named.
async fn undo(
    cluster: &Cluster,
    connection: &BrokerConnection,
    plan: &RunPlan,
    run: &str,
    job: Option<&JobState>,
    observer: &dyn Observer,
) {
    let deleting = async {
        if let Some(job) = job {
            cluster.delete_job(&job.name).await?;
        }
        let deleted = delete::delete_ledger(&connection.broker, &plan.queue.name, run).await;
        deleted.map_err(|error| connection.explain(error))
    };
    if let Err(error) = deleting.await {
        observer.warn(Warning::RunStays { run, reason: &error.to_string() });
    }
}

/// Creates what the pods of a new Job wait for, and checks that it is the only one on its queue.
async fn complete_job(
    cluster: &Cluster,
    renderer: &Renderer,
    plan: &RunPlan,
    manifest: &Value,
    job: &JobState,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let script = async {
        if let Some(script) = &plan.script {
            // It is deleted with the Job, which owns it.
            let created = cluster.create(&script.config_map(manifest, &job.uid), false).await;
            created.map_err(|error| match error.is_already_exists() {
                true => Error::ScriptTaken(job.name.clone()),
                false => error.into(),
            })?;
        }
        Ok(())
    };
    // A newer plugin may have pruned it while items were enqueued. From now on it is in use.
    let worker = async {
        match &renderer.worker {
            Some(worker) => worker.restore(cluster, &job.run, observer).await,
            None => Ok(()),
        }
    };
    let (earlier, (), ()) = tokio::try_join!(earlier_run(cluster, plan, job), script, worker)?;
    match earlier {
        Some(other) => Err(Error::QueueBusy { run: other.run, queue: plan.queue.name.clone() }),
        None => Ok(()),
    }
}

/// Declares the queue of the outputs, if the plan wants them kept, and the one that says that the input
/// goes on.
async fn declare_outputs(
    connection: &BrokerConnection,
    plan: &RunPlan,
    run: &str,
    manifest: &Value,
    contents: Contents,
) -> Result<(), Error> {
    let Some(outputs) = &plan.outputs else { return Ok(()) };
    if !contents.ledger {
        return Err(Error::NoLedgerForOutputs);
    }
    let (broker, queue, room) = (&connection.broker, &plan.queue.name, room(manifest, outputs.limit)?);
    let declaring = async {
        topology::ensure_outputs(broker, queue, run, room).await?;
        if contents.input_goes_on { topology::ensure_input(broker, queue, run).await } else { Ok(()) }
    };
    declaring.await.map_err(|error| connection.explain(error))
}

/// Opens the books of the run, over another connection if this one breaks: streams that are starting
/// cannot be read for some seconds.
async fn open_books(
    mut connection: BrokerConnection,
    cluster: &Cluster,
    release: &ReleaseName,
    opening: &Opening<'_>,
    observer: &dyn Observer,
) -> Result<(BrokerConnection, bool), Error> {
    for _ in 0..OPENING_RETRIES {
        match books::open(cluster, release, &connection, opening, observer).await {
            Err(error) if is_transient(&error) => {
                observer.on(Notice::Waiting(Wait::BrokerBack(&error.to_string())));
            }
            opened => return opened.map(|ledger| (connection, ledger)),
        }
        connection.close().await;
        tokio::time::sleep(OPENING_PAUSE).await;
        connection = BrokerConnection::open(cluster, release, PURPOSE).await?;
    }
    let ledger = books::open(cluster, release, &connection, opening, observer).await?;
    Ok((connection, ledger))
}

/// Deletes old runs of the queue, as many as the chart's values say. It is no reason to fail.
async fn prune(
    cluster: &Cluster,
    connection: &BrokerConnection,
    plan: &RunPlan,
    manifest: &Value,
    observer: &dyn Observer,
) {
    let limit = &manifest["metadata"]["annotations"][HISTORY_LIMIT_ANNOTATION];
    let Some(kept) = limit.as_str().and_then(|limit| limit.parse().ok()) else { return };
    let pruned = delete::prune(cluster, &plan.release, connection, &plan.queue.name, kept).await;
    if let Err(error) = pruned {
        observer.warn(Warning::OldRunsStay { reason: &error.to_string() });
    }
}

/// Without a broker nothing is to be stored in the cluster. One that is not ready is waited for later.
async fn require_broker(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    match cluster.broker_pod(&plan.release).await {
        Err(error @ (cluster::Error::NotInstalled { .. } | cluster::Error::NamespaceMissing(_))) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Two runs on one queue would take each other's items, and the one left with too few would wait
/// forever.
pub(super) async fn refuse_busy_queue(cluster: &Cluster, plan: &RunPlan) -> Result<(), Error> {
    let jobs = cluster.runs(&plan.release).await?;
    let busy = jobs.into_iter().find(|job| job.end.is_none() && job.queue == plan.queue.name.as_str());
    busy.map_or(Ok(()), |job| Err(Error::QueueBusy { run: job.run, queue: plan.queue.name.clone() }))
}

/// Another run on the queue that was not created after ours. Both may have found the queue free, since
/// items are enqueued between that check and the Job. Creation times have whole seconds: of two runs
/// created in the same second neither goes on, because one may not have seen the other.
async fn earlier_run(cluster: &Cluster, plan: &RunPlan, ours: &JobState) -> Result<Option<JobState>, Error> {
    let mut jobs = cluster.runs(&plan.release).await?;
    jobs.retain(|job| job.end.is_none() && job.queue == plan.queue.name.as_str() && job.run != ours.run);
    Ok(jobs.into_iter().find(|job| job.created <= ours.created))
}

pub(super) async fn contents(connection: &BrokerConnection, queue: &QueueName) -> Result<Contents, Error> {
    let failed_queue = queue.failed();
    let asking = tokio::try_join!(
        topology::depth(&connection.broker, queue),
        topology::depth(&connection.broker, &failed_queue)
    );
    let (depth, failed) = asking.map_err(|error| connection.explain(error))?;
    let Depth { ready: items, consumers } = depth.unwrap_or_default();
    let failed = failed.unwrap_or_default().ready;
    Ok(Contents { items, consumers, failed, ..Contents::default() })
}
