//! Brings the broker up: render, credentials, apply, wait until it lets us log in.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::apply::Change;
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::rollout::Workload;
use crate::error::Error;
use crate::notice::{Deadline, Notice, ObjectChange, Observer, Wait, deadline_after};
use crate::queue::connection::BrokerConnection;
use crate::release::manifests::{self, ChartPlan, DEFAULT_KUBE_VERSION, Installation};
use crate::release::storage::{self, StoredRelease};
use workqueue_core::names::{CHART, ReleaseName};

/// How far a dry run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DryRun {
    /// It is none.
    #[default]
    None,
    /// Render, and ask no server.
    Client,
    /// Let the server validate, and change nothing.
    Server,
}

/// What to bring up.
pub struct UpPlan {
    /// The release.
    pub release: ReleaseName,
    /// Chart and values.
    pub chart: ChartPlan,
    /// Stop before something is changed.
    pub dry_run: DryRun,
    /// Make the namespace if it is missing.
    pub create_namespace: bool,
    /// Take over fields that others manage.
    pub force_conflicts: bool,
    /// Wait until the broker lets us log in.
    pub wait: bool,
    /// The time for all of it.
    pub timeout: Duration,
}

/// What was done.
#[derive(Debug)]
pub struct UpReport {
    /// Every object and what became of it, in the order of the apply.
    pub objects: Vec<(ObjectRef, Change)>,
    /// Jobs of the chart, which are left to `run`.
    pub left_out: Vec<ObjectRef>,
    /// How long it took until the broker let us log in, if that was waited for.
    pub ready_after: Option<Duration>,
}

impl UpReport {
    /// Whether something is different now.
    pub fn changed(&self) -> bool {
        self.objects.iter().any(|(_, change)| *change != Change::Unchanged)
    }
}

/// Shows what `up` would apply without asking a cluster.
///
/// # Errors
/// What the chart and its values get wrong.
pub fn preview(plan: &UpPlan, namespace: &str) -> Result<UpReport, Error> {
    let chart = plan.chart.load_chart()?;
    let values = plan.chart.load_values(&chart)?;
    let rendered = manifests::render(&chart, &values, &plan.release, namespace, DEFAULT_KUBE_VERSION)?;
    refuse_renamed(&rendered.values)?;
    let Installation { objects, left_out, .. } = Installation::of(rendered, &plan.release);
    let objects = objects.iter().filter_map(ObjectRef::of).map(|object| (object, Change::Created)).collect();
    Ok(UpReport { objects, left_out, ready_after: None })
}

/// Brings the broker of a release up. Whatever stops it, running it again goes on from there.
///
/// # Errors
/// What the chart, the cluster or the broker refuse, and the deadline.
pub async fn up(cluster: &Cluster, plan: &UpPlan, observer: &dyn Observer) -> Result<UpReport, Error> {
    let started = Instant::now();
    let deadline = deadline_after(plan.timeout);
    let chart = plan.chart.load_chart()?;
    let values = plan.chart.load_values(&chart)?;
    let version = cluster.server_version().await?;
    let rendered = manifests::render(&chart, &values, &plan.release, cluster.namespace(), &version)?;
    refuse_renamed(&rendered.values)?;
    let installation = Installation::of(rendered, &plan.release);

    let dry_run = plan.dry_run != DryRun::None;
    if plan.create_namespace {
        cluster.ensure_namespace(dry_run).await?;
    }
    // The server is asked about everything before anything is changed: what it refuses, fields
    // that cannot be changed among it, stops us here.
    let mut planned = Vec::new();
    for manifest in &installation.objects {
        planned.push(cluster.plan(manifest, plan.force_conflicts).await?);
    }
    let objects: Vec<ObjectRef> = planned.iter().map(|planned| planned.object.clone()).collect();
    let unwanted = storage::unwanted(cluster, &plan.release, &objects).await?;
    let mut record = StoredRelease { values: values.merged()?, objects };
    if !dry_run {
        // If we are interrupted below, the next run still finds what is unwanted.
        let all = record.objects.iter().chain(&unwanted).cloned().collect();
        StoredRelease { objects: all, ..record.clone() }.save(cluster, &plan.release).await?;
    }
    let mut report = UpReport { objects: Vec::new(), left_out: installation.left_out, ready_after: None };
    if let Some(credentials) = &installation.credentials {
        let change = cluster.ensure_credentials(credentials, dry_run).await?;
        note(&mut report, observer, ObjectRef::new("v1", "Secret", &credentials.name), change);
    }
    for planned in planned {
        let change = if dry_run { planned.change() } else { cluster.carry_out(&planned).await? };
        note(&mut report, observer, planned.object, change);
    }
    for object in unwanted {
        cluster.delete(&object, dry_run).await?;
        note(&mut report, observer, object, Change::Pruned);
    }
    if dry_run {
        return Ok(report);
    }
    record.objects.sort();
    record.save(cluster, &plan.release).await?;
    if plan.wait && !installation.workloads.is_empty() {
        wait(cluster, &plan.release, &installation.workloads, deadline, observer).await?;
        report.ready_after = Some(started.elapsed());
    }
    Ok(report)
}

/// The chart's name is a label by which all commands find what belongs to a release.
fn refuse_renamed(values: &Value) -> Result<(), Error> {
    match values.get("nameOverride").and_then(Value::as_str) {
        Some(name) if !name.is_empty() && name != CHART => Err(Error::Renamed(name.to_owned())),
        _ => Ok(()),
    }
}

fn note(report: &mut UpReport, observer: &dyn Observer, object: ObjectRef, change: Change) {
    observer.on(Notice::Object { object: &object, change: ObjectChange::Applied(change) });
    report.objects.push((object, change));
}

/// Waits for the pods, then for the broker behind them: a pod is ready as soon as its port is
/// open, which is moments before the default user exists.
async fn wait(
    cluster: &Cluster,
    release: &ReleaseName,
    workloads: &[Workload],
    deadline: Deadline,
    observer: &dyn Observer,
) -> Result<(), Error> {
    for workload in workloads {
        cluster
            .wait_ready(workload, deadline, |line| observer.on(Notice::Waiting(Wait::Cluster(line))))
            .await?;
    }
    observer.on(Notice::Waiting(Wait::BrokerLogin));
    let session =
        BrokerConnection::open_when_ready(cluster, release, "kubectl-workqueue up", deadline).await?;
    session.close().await;
    Ok(())
}
