//! Installs or upgrades a release: render, apply, wait until the broker accepts a login.

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
use crate::release::remembered::{Remember, chart_and_values};
use crate::release::storage::{self, StoredRelease};
use crate::release::{broker_upgrade, contents};
use helm_template::{Chart, Rendered, ValueSources};
use workqueue_core::names::{CHART, ReleaseName};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DryRun {
    #[default]
    None,
    /// Only render, without contacting a server.
    Client,
    /// Let the server validate, but change nothing.
    Server,
}

pub struct UpPlan {
    pub release: ReleaseName,
    pub chart: ChartPlan,
    /// What becomes of the values that the release was given before.
    pub remember: Remember,
    pub dry_run: DryRun,
    /// Create the namespace if it is missing.
    pub create_namespace: bool,
    /// Take over fields that others manage.
    pub force_conflicts: bool,
    /// Prune brokers, with the messages in their queues.
    pub prune_brokers: bool,
    /// Wait until the broker accepts a login.
    pub wait: bool,
    /// For the whole operation; 0 for no limit.
    pub timeout: Duration,
}

#[derive(Debug)]
pub struct UpReport {
    /// Every object and what was done to it, in that order.
    pub objects: Vec<(ObjectRef, Change)>,
    /// The chart's Jobs, which `run` creates.
    pub left_out: Vec<ObjectRef>,
    /// How long it took until the broker accepted a login; `None` if `up` did not wait.
    pub ready_after: Option<Duration>,
}

impl UpReport {
    pub fn changed(&self) -> bool {
        self.objects.iter().any(|(_, change)| *change != Change::Unchanged)
    }
}

/// Lists what `up` would apply, without contacting a cluster.
pub fn preview(plan: &UpPlan, namespace: &str) -> Result<UpReport, Error> {
    let chart = plan.chart.load_chart()?;
    let values = plan.chart.load_values(&chart)?;
    let rendered = manifests::render(&chart, &values, &plan.release, namespace, DEFAULT_KUBE_VERSION)?;
    refuse_renamed(&rendered.values)?;
    let Installation { objects, left_out, .. } = Installation::of(rendered, &plan.release, namespace);
    let objects = objects.iter().filter_map(ObjectRef::of).map(|object| (object, Change::Created)).collect();
    Ok(UpReport { objects, left_out, ready_after: None })
}

/// A broker that `up` would prune.
#[derive(Debug)]
pub struct PrunedBroker {
    pub object: ObjectRef,
    /// The queues of the release that hold messages, and how many; `None` if nobody knows.
    pub messages: Option<Vec<(String, u64)>>,
}

impl PrunedBroker {
    /// Whether its queues hold no messages, for sure.
    pub fn is_empty(&self) -> bool {
        self.messages.as_ref().is_some_and(Vec::is_empty)
    }
}

/// The broker that `up` would prune; `None` if it prunes none.
///
/// # Errors
/// What the chart or the cluster refuse.
pub async fn pruned_broker(
    cluster: &Cluster,
    plan: &UpPlan,
    loaded: &Loaded,
) -> Result<Option<PrunedBroker>, Error> {
    let rendered = loaded.render(cluster, plan)?;
    let objects = Installation::of(rendered, &plan.release, cluster.namespace()).objects;
    let objects: Vec<ObjectRef> = objects.iter().filter_map(ObjectRef::of).collect();
    let obsolete = storage::obsolete(cluster, &plan.release, &objects).await?;
    let Some(broker) = obsolete.into_iter().find(|existing| is_broker(&existing.object)) else {
        return Ok(None);
    };
    let messages = contents::messages(cluster, &plan.release, None).await;
    Ok(Some(PrunedBroker { object: broker.object, messages }))
}

/// Whether the pods or the volumes of an object may hold messages.
fn is_broker(object: &ObjectRef) -> bool {
    const KINDS: [&str; 4] = ["Deployment", "PersistentVolumeClaim", "ReplicationController", "StatefulSet"];
    KINDS.contains(&object.kind.as_str())
}

/// A chart with the values of a release, and the server's version.
pub struct Loaded {
    pub(crate) chart: Chart,
    pub(crate) values: ValueSources,
    pub(crate) version: String,
}

impl Loaded {
    fn render(&self, cluster: &Cluster, plan: &UpPlan) -> Result<Rendered, Error> {
        manifests::render(&self.chart, &self.values, &plan.release, cluster.namespace(), &self.version)
    }
}

/// Loads the chart and the values of a release, those that it was given before among them.
///
/// # Errors
/// [`Error::OtherChart`]; what the chart or the cluster refuse.
pub async fn load(cluster: &Cluster, plan: &UpPlan, observer: &dyn Observer) -> Result<Loaded, Error> {
    let (chart, values) =
        chart_and_values(cluster, &plan.release, &plan.chart, plan.remember, observer).await?;
    Ok(Loaded { chart, values, version: cluster.server_version().await? })
}

/// Installs or upgrades a release. If it is interrupted, running it again continues from there.
///
/// # Errors
/// What the chart, the cluster or the broker refuse; the deadline.
pub async fn up(
    cluster: &Cluster,
    plan: &UpPlan,
    loaded: &Loaded,
    observer: &dyn Observer,
) -> Result<UpReport, Error> {
    let started = Instant::now();
    let deadline = deadline_after(plan.timeout);
    let rendered = loaded.render(cluster, plan)?;
    refuse_renamed(&rendered.values)?;
    let installation = Installation::of(rendered, &plan.release, cluster.namespace());
    let workloads = installation.workloads.clone();
    broker_upgrade::check(cluster, &plan.release, &workloads, observer).await?;
    let mut report = apply(cluster, plan, loaded.values.merged()?, installation, observer).await?;
    if plan.dry_run == DryRun::None && plan.wait && !workloads.is_empty() {
        wait(cluster, &plan.release, &workloads, deadline, observer).await?;
        report.ready_after = Some(started.elapsed());
    }
    Ok(report)
}

/// Applies the objects, deletes those that are obsolete, and updates the release storage.
async fn apply(
    cluster: &Cluster,
    plan: &UpPlan,
    values: Value,
    installation: Installation,
    observer: &dyn Observer,
) -> Result<UpReport, Error> {
    let dry_run = plan.dry_run != DryRun::None;
    if plan.create_namespace {
        cluster.ensure_namespace(dry_run).await?;
    }
    // Plans everything before changing anything, so that what the server refuses (such as changes to
    // immutable fields) stops us here.
    let mut planned = Vec::new();
    for manifest in &installation.objects {
        planned.push(cluster.plan(manifest, plan.force_conflicts).await?);
    }
    let objects: Vec<ObjectRef> = planned.iter().map(|planned| planned.object.clone()).collect();
    let obsolete = storage::obsolete(cluster, &plan.release, &objects).await?;
    if let Some(broker) = obsolete.iter().find(|existing| is_broker(&existing.object))
        && !plan.prune_brokers
        && !dry_run
    {
        return Err(Error::BrokerPruned(broker.object.clone()));
    }
    let chart = plan.chart.chart.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
    let mut stored = StoredRelease { values, objects, chart };
    if !dry_run {
        // If we are interrupted below, the next `up` still finds the obsolete objects.
        let all =
            stored.objects.iter().chain(obsolete.iter().map(|existing| &existing.object)).cloned().collect();
        StoredRelease { objects: all, ..stored.clone() }.save(cluster, &plan.release).await?;
    }
    let mut report = UpReport { objects: Vec::new(), left_out: installation.left_out, ready_after: None };
    for credentials in &installation.credentials {
        let change = cluster.ensure_credentials(credentials, dry_run).await?;
        report_change(&mut report, observer, ObjectRef::new("v1", "Secret", &credentials.name), change);
    }
    for planned in planned {
        let change = if dry_run { planned.change() } else { cluster.carry_out(&planned).await? };
        report_change(&mut report, observer, planned.object, change);
    }
    for existing in obsolete {
        if cluster.delete_ours(&plan.release, &existing, dry_run).await? {
            report_change(&mut report, observer, existing.object, Change::Pruned);
        }
    }
    if !dry_run {
        stored.objects.sort();
        stored.save(cluster, &plan.release).await?;
    }
    Ok(report)
}

/// All commands find the objects of a release by a label that holds the chart's name.
fn refuse_renamed(values: &Value) -> Result<(), Error> {
    match values.get("nameOverride").and_then(Value::as_str) {
        Some(name) if !name.is_empty() && name != CHART => Err(Error::Renamed(name.to_owned())),
        _ => Ok(()),
    }
}

fn report_change(report: &mut UpReport, observer: &dyn Observer, object: ObjectRef, change: Change) {
    observer.on(Notice::Object { object: &object, change: ObjectChange::Applied(change) });
    report.objects.push((object, change));
}

/// Waits for the pods, then for a login: a pod is ready as soon as its port is open, which is moments
/// before the default user exists.
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
    let connection =
        BrokerConnection::open_when_ready(cluster, release, "kubectl-workqueue up", deadline).await?;
    connection.close().await;
    Ok(())
}
