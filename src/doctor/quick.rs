//! The cheap half of the checks, for `up` and `run`: a few lists that are asked for at the same time.
//!
//! It holds nothing up for long: what the user may not see, or what does not answer soon, is left out.

use std::time::Duration;

use serde_json::json;

use super::finding::{Finding, State};
use super::server;
use super::subject::{Role, RunImages, Subject};
use super::surroundings::Surroundings;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::notice::{Observer, Warning};
use crate::release::manifests::ChartPlan;
use crate::release::storage;
use crate::release::up::Loaded;
use helm_template::{Chart, ValueSources};
use workqueue_core::names::ReleaseName;

/// How long the lists may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The pods of a run.
pub struct RunPods {
    pub release: ReleaseName,
    /// Chart and values in addition to those that `up` stored.
    pub chart: ChartPlan,
    pub images: RunImages,
    pub parallelism: u32,
}

/// Does the work and the checks at the same time. Work that ends first waits for them, so that it does not
/// depend on who is quicker whether a warning is seen.
pub async fn beside<T>(work: impl Future<Output = T>, checks: impl Future<Output = ()>) -> T {
    tokio::join!(work, checks).0
}

/// Warns of what keeps a broker with these values from starting.
pub async fn of_up(cluster: &Cluster, release: &ReleaseName, loaded: &Loaded, observer: &dyn Observer) {
    let looking = async {
        let Loaded { chart, values, version } = loaded;
        let subject = render(cluster, release, chart.clone(), values.clone(), version.clone()).await?;
        Ok(look(cluster, release, subject, Role::Broker, version).await)
    };
    warn(looking, observer).await;
}

/// Warns of what keeps the pods of a run with this image from starting.
pub async fn of_run(cluster: &Cluster, plan: RunPods, observer: &dyn Observer) {
    let RunPods { release, chart: plan, images, parallelism } = plan;
    let looking = async {
        let chart = plan.load_chart()?;
        let mut values = storage::values_for(cluster, &release, &chart, &plan).await?;
        values.overrides.extend(images.overrides());
        values.overrides.push(json!({"worker": {"parallelism": parallelism}}));
        let version = cluster.server_version().await?;
        let subject = render(cluster, &release, chart, values, version.clone()).await?;
        Ok(look(cluster, &release, subject, Role::Worker, &version).await)
    };
    warn(looking, observer).await;
}

/// Renders on another thread, to leave this one to the work.
async fn render(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: Chart,
    values: ValueSources,
    version: String,
) -> Result<Subject, Error> {
    let (cluster, release) = (cluster.clone(), release.clone());
    let render = move || Subject::render(&cluster, &release, &chart, &values, &version);
    // A thread that panics has said so itself, and the work does not depend on it.
    tokio::task::spawn_blocking(render).await.unwrap_or_else(|_| Ok(Subject::default()))
}

/// What is surely wrong for the pods of a role.
async fn look(
    cluster: &Cluster,
    release: &ReleaseName,
    mut subject: Subject,
    role: Role,
    version: &str,
) -> Vec<Finding> {
    subject.pods.retain(|group| group.role == role);
    if role == Role::Worker {
        // The broker is there.
        (subject.claims, subject.objects) = (Vec::new(), Vec::new());
    }
    let around = Surroundings::look(cluster, release, &subject).await;
    let findings = around.findings(&subject, server::minor(version));
    findings.into_iter().filter(|finding| finding.state >= State::Warning).collect()
}

async fn warn(looking: impl Future<Output = Result<Vec<Finding>, Error>>, observer: &dyn Observer) {
    // The operation itself says what is wrong with the chart or the cluster.
    let Ok(Ok(findings)) = tokio::time::timeout(TIMEOUT, looking).await else { return };
    for Finding { message, hint, .. } in &findings {
        observer.warn(Warning::Check { message, hint: hint.as_deref() });
    }
}
