//! The report of `doctor`.

use serde::Serialize;

use crate::cluster::Cluster;
use crate::doctor::DoctorReport;
use crate::doctor::finding::{Finding, State};
use workqueue_core::names::ReleaseName;

/// The report of `doctor`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorJson<'a> {
    pub release: &'a str,
    pub namespace: &'a str,
    /// The URL of the API server.
    pub server: &'a str,
    /// How many checks found an error, a warning, or nothing because they could not look.
    pub errors: u64,
    pub warnings: u64,
    pub unknown: u64,
    /// Whether Ctrl-C stopped the command: some checks are missing.
    pub interrupted: bool,
    /// In the order in which they were made.
    pub checks: Vec<CheckJson<'a>>,
}

/// What a check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckJson<'a> {
    /// A word that does not change, such as `quota`. Several lines can have the same.
    pub check: &'static str,
    /// `ok`, `warning`, `error` or `unknown`.
    pub state: &'static str,
    pub message: &'a str,
    /// What to do about it. `null` if there is nothing to do.
    pub hint: Option<&'a str>,
}

impl<'a> DoctorJson<'a> {
    /// What was found in a cluster.
    pub fn of(cluster: &'a Cluster, release: &'a ReleaseName, report: &'a DoctorReport) -> Self {
        Self::new(cluster.url(), cluster.namespace(), release, report)
    }

    pub(super) fn new(
        server: &'a str,
        namespace: &'a str,
        release: &'a ReleaseName,
        report: &'a DoctorReport,
    ) -> Self {
        Self {
            release: release.as_str(),
            namespace,
            server,
            errors: report.count(State::Error),
            warnings: report.count(State::Warning),
            unknown: report.count(State::Unknown),
            interrupted: report.interrupted,
            checks: report.findings.iter().map(CheckJson::from).collect(),
        }
    }
}

impl<'a> From<&'a Finding> for CheckJson<'a> {
    fn from(finding: &'a Finding) -> Self {
        let Finding { check, state, message, hint } = finding;
        Self { check, state: state.as_str(), message, hint: hint.as_deref() }
    }
}
