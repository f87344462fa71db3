//! The report of `up`.

use serde::Serialize;

use crate::release::up::{DryRun, UpPlan, UpReport};

/// The report of `up`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpJson<'a> {
    pub release: &'a str,
    pub dry_run: bool,
    /// Whether an object was, or would be, created or configured. `null` for `--dry-run=client`,
    /// which compares with nothing.
    pub changed: Option<bool>,
    /// In the order in which they are applied.
    pub objects: Vec<ObjectJson<'a>>,
    /// Seconds until the broker accepted a login. `null` if `up` did not wait for it.
    pub ready_seconds: Option<f64>,
}

/// An object of the release.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectJson<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    /// `created`, `configured` or `unchanged`. `null` for `--dry-run=client`.
    pub change: Option<String>,
}

impl<'a> UpJson<'a> {
    /// What `up` did, or would do.
    pub fn of(plan: &'a UpPlan, report: &'a UpReport) -> Self {
        let compared = plan.dry_run != DryRun::Client;
        let objects = report.objects.iter().map(|(object, change)| ObjectJson {
            api_version: &object.api_version,
            kind: &object.kind,
            name: &object.name,
            change: compared.then(|| change.to_string()),
        });
        Self {
            release: plan.release.as_str(),
            dry_run: plan.dry_run != DryRun::None,
            changed: compared.then(|| report.changed()),
            objects: objects.collect(),
            ready_seconds: report.ready_after.map(|after| (after.as_secs_f64() * 1000.0).round() / 1000.0),
        }
    }
}
