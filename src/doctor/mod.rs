//! `doctor`: checks before anything is started what would go wrong, and what to do about it.
//!
//! One file a group of checks. What an object of the server means is decided by pure functions, mostly
//! called `judge`. `examination` has the groups in their order; it, `surroundings`, `trial` and `broker` ask
//! the server.

mod admission;
mod broker;
mod examination;
pub mod finding;
mod injectors;
mod limit_range;
mod platforms;
mod pod_security;
mod quantity;
pub mod quick;
mod quota;
mod quota_scope;
mod resources;
mod rights;
mod server;
mod storage;
mod subject;
mod surroundings;
mod trial;
mod trial_pod;
mod worker;

use std::future::Future;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::image::Engine;
use crate::notice::Observer;
use crate::release::manifests::ChartPlan;
use crate::release::remembered::Remember;
use examination::{End, Examination};
use finding::{Finding, State};
pub use subject::RunImages;
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::names::ReleaseName;

/// What to check.
pub struct DoctorPlan {
    pub release: ReleaseName,
    pub chart: ChartPlan,
    /// What becomes of the values that the release was given before, as for `up`.
    pub remember: Remember,
    pub images: RunImages,
    pub queue: QueueSpec,
    /// Asked what images are for.
    pub engine: Engine,
    /// Create pods for a moment, to see whether nodes can pull the images.
    pub pods: bool,
    /// How long pulling the images may take.
    pub timeout: Duration,
}

/// What was found.
#[derive(Debug)]
pub struct DoctorReport {
    pub findings: Vec<Finding>,
    /// The user stopped it before the end.
    pub interrupted: bool,
}

impl DoctorReport {
    /// How many findings have a state.
    pub fn count(&self, state: State) -> u64 {
        self.findings.iter().filter(|finding| finding.state == state).count() as u64
    }
}

/// Runs all checks. Each finding is passed to `found` as soon as it is known.
///
/// # Errors
/// A chart or values that cannot be read. What is wrong in the cluster is a finding.
pub async fn examine(
    cluster: &Cluster,
    plan: &DoctorPlan,
    observer: &dyn Observer,
    found: &mut dyn FnMut(&Finding),
    stop: impl Future<Output = ()>,
) -> Result<DoctorReport, Error> {
    let stop = std::pin::pin!(stop);
    let mut examination = Examination { cluster, plan, observer, found, stop, findings: Vec::new() };
    let interrupted = match examination.run().await {
        Ok(()) => false,
        Err(End::Stopped) => true,
        Err(End::Failed(error)) => return Err(*error),
    };
    Ok(DoctorReport { findings: examination.findings, interrupted })
}
