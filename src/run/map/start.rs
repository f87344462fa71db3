//! Starts a run whose input goes on: the Job is created once the first items are in the queue, unless the
//! input ends sooner.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Notice, Observer, Warning};
use crate::queue::connection::BrokerConnection;
use crate::queue::enqueue_report::EnqueueReport;
use crate::run::job_manifest::Renderer;
use crate::run::plan::RunPlan;
use crate::run::start::{Input, Started, contents, refuse_busy_queue, start_job};

/// How long an input may take to end after its first item for the Job to be created knowing all of them.
const SHORT_INPUT: Duration = Duration::from_millis(500);

/// What an enqueue gives at its end.
pub(super) type Enqueued = (EnqueueReport, Result<(), Error>);

/// How a run has started.
pub(super) enum Begun {
    /// The Job was created. The input has ended if there is a report of it.
    Job(Box<JobState>, Option<Box<Enqueued>>),
    /// The input was empty.
    Nothing,
    /// Not all items reached the queue: no Job was created.
    NotEnqueued(Box<Enqueued>),
}

/// Passes notices on, and notes the first confirm.
pub(super) struct FirstConfirm<'a> {
    pub observer: &'a dyn Observer,
    pub confirmed_tx: watch::Sender<bool>,
}

impl Observer for FirstConfirm<'_> {
    fn on(&self, notice: Notice<'_>) {
        if let Notice::Enqueued { confirmed: 1.., .. } = notice {
            self.confirmed_tx.send_replace(true);
        }
        self.observer.on(notice);
    }
}

/// Checks that a run could start, and that its queue is free: what comes out of it is this run's own.
///
/// # Errors
/// [`Error::QueueBusy`], [`Error::QueueInUse`]; what the chart, the cluster or the broker refuse.
pub(super) async fn prepare(
    cluster: &Cluster,
    plan: &RunPlan,
    observer: &dyn Observer,
) -> Result<Renderer, Error> {
    let connecting = BrokerConnection::open_ahead(cluster, &plan.release, "kubectl-workqueue map");
    let checking =
        async { tokio::try_join!(Renderer::prepare(cluster, plan), refuse_busy_queue(cluster, plan)) };
    let (checked, ()) = tokio::join!(checking, connecting);
    let (mut renderer, ()) = checked?;
    let connection = BrokerConnection::open(cluster, &plan.release, "kubectl-workqueue map").await?;
    let found = contents(&connection, &plan.queue.name).await?;
    connection.close().await;
    if found.items > 0 || found.consumers > 0 {
        let queue = plan.queue.name.clone();
        return Err(Error::QueueInUse { queue, items: found.items, consumers: found.consumers });
    }
    renderer.store_worker(cluster, observer).await?;
    Ok(renderer)
}

/// Creates the Job once there is something for it to do. `enqueueing` goes on meanwhile.
///
/// # Errors
/// As for [`start_job`]; the items that were enqueued stay in the queue.
pub(super) async fn begin(
    cluster: &Cluster,
    renderer: &Renderer,
    plan: &RunPlan,
    observer: &dyn Observer,
    mut enqueueing: Pin<&mut impl Future<Output = Enqueued>>,
    confirmed_rx: &mut watch::Receiver<bool>,
    stop_tx: &watch::Sender<bool>,
) -> Result<Begun, Error> {
    let has_begun = async {
        if confirmed_rx.wait_for(|confirmed| *confirmed).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SHORT_INPUT).await;
    };
    let ended = tokio::select! {
        biased;
        ended = enqueueing.as_mut() => Some(Box::new(ended)),
        () = has_begun => None,
    };
    let Some(ended) = ended else {
        return begin_early(cluster, renderer, plan, observer, enqueueing, stop_tx).await;
    };
    let (report, result) = &*ended;
    if result.is_err() || !report.is_complete() {
        return Ok(Begun::NotEnqueued(ended));
    }
    if report.items.is_empty() {
        return Ok(Begun::Nothing);
    }
    let input = Input::Ended(Some(&report.items));
    match start_job(cluster, renderer, plan, observer, input).await {
        Ok(Started::Job { job, .. }) => Ok(Begun::Job(Box::new(job), Some(ended))),
        Ok(_) => Err(Error::ItemsTaken { items: report.items.len(), queue: plan.queue.name.clone() }),
        Err(error) => {
            observer.warn(Warning::ItemsStayInQueue { items: report.items.len(), queue: &plan.queue.name });
            Err(error)
        }
    }
}

/// Creates the Job while the input goes on.
async fn begin_early(
    cluster: &Cluster,
    renderer: &Renderer,
    plan: &RunPlan,
    observer: &dyn Observer,
    mut enqueueing: Pin<&mut impl Future<Output = Enqueued>>,
    stop_tx: &watch::Sender<bool>,
) -> Result<Begun, Error> {
    let input = Input::GoesOn(plan.batch.as_deref().unwrap_or_default());
    let mut starting = std::pin::pin!(start_job(cluster, renderer, plan, observer, input));
    let mut ended = None;
    let started = loop {
        tokio::select! {
            started = &mut starting => break started,
            enqueued = enqueueing.as_mut(), if ended.is_none() => ended = Some(Box::new(enqueued)),
        }
    };
    match started {
        Ok(Started::Job { job, .. }) => Ok(Begun::Job(Box::new(job), ended)),
        // Not with an input that goes on.
        Ok(Started::Nothing | Started::NotEnqueued(..)) => Ok(Begun::Nothing),
        Err(error) => {
            // What is in flight must be confirmed and named in the book: it stays.
            stop_tx.send_replace(true);
            let (report, _) = match ended {
                Some(ended) => *ended,
                None => enqueueing.await,
            };
            if !report.items.is_empty() {
                let (items, queue) = (report.items.len(), &plan.queue.name);
                observer.warn(Warning::ItemsStayInQueue { items, queue });
            }
            Err(error)
        }
    }
}
