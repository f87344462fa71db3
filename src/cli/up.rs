//! `up`: brings the broker up.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::flags::{ClusterFlags, Output, ValueFlags, duration};
use crate::release::up::{self, DryRun, UpPlan, UpReport};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_core::names::ReleaseName;

/// Deploy the broker, or bring it up to date
///
/// Makes a Secret with random credentials unless it exists, applies the chart's manifests
/// server-side, and waits until the broker accepts a login. Run again, it changes only what is
/// different.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Values files of the chart, the last one wins; - reads standard input
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',', help_heading = "Chart")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Show what would be applied: `client` asks no cluster, `server` lets it validate
    #[arg(long, value_name = "WHERE", default_value = "none", default_missing_value = "client")]
    #[arg(num_args = 0..=1, require_equals = true)]
    dry_run: DryRunFlag,
    /// Do not wait for the broker
    #[arg(long)]
    no_wait: bool,
    /// Make the namespace if it is missing
    #[arg(long)]
    create_namespace: bool,
    /// Take over fields that others manage
    #[arg(long)]
    force_conflicts: bool,
    /// Give up after this time (0: never)
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DryRunFlag {
    None,
    Client,
    Server,
}

impl From<DryRunFlag> for DryRun {
    fn from(flag: DryRunFlag) -> Self {
        match flag {
            DryRunFlag::None => Self::None,
            DryRunFlag::Client => Self::Client,
            DryRunFlag::Server => Self::Server,
        }
    }
}

/// Runs the command.
pub async fn run(args: UpArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let plan = UpPlan {
        release: args.cluster.release.clone(),
        chart: args.values.plan(&args.files),
        dry_run: args.dry_run.into(),
        create_namespace: args.create_namespace,
        force_conflicts: args.force_conflicts,
        wait: !args.no_wait,
        timeout: args.timeout,
    };
    let report = if plan.dry_run == DryRun::Client {
        let report = up::preview(&plan, &args.cluster.offline_namespace().await)?;
        if !args.output.is_json() {
            for (object, _) in &report.objects {
                ui.data(format!("{object} (dry run)").as_bytes());
            }
        }
        report
    } else {
        let cluster = args.cluster.connect().await?;
        up::up(&cluster, &plan, ui).await?
    };
    ui.done();
    if args.output.is_json() {
        ui.json(&to_json(&plan.release, plan.dry_run != DryRun::None, &report));
    }
    ui.status(&in_words(&plan, &report));
    Ok(ExitStatus::Success)
}

pub(super) fn to_json(release: &ReleaseName, dry_run: bool, report: &UpReport) -> serde_json::Value {
    let objects = report.objects.iter().map(|(object, change)| {
        json!({
            "apiVersion": object.api_version,
            "kind": object.kind,
            "name": object.name,
            "change": change.to_string(),
        })
    });
    json!({
        "release": release.as_str(),
        "dryRun": dry_run,
        "changed": report.changed(),
        "objects": objects.collect::<Vec<_>>(),
        "readySeconds": report.ready_after.map(|after| (after.as_secs_f64() * 1000.0).round() / 1000.0),
    })
}

fn in_words(plan: &UpPlan, report: &UpReport) -> String {
    let release = &plan.release;
    let done = match (plan.dry_run, report.changed()) {
        (DryRun::None, true) => format!("release {release} is up"),
        (DryRun::None, false) => format!("release {release} is up to date: nothing changed"),
        (DryRun::Client, _) => "nothing was applied, and no cluster was asked (dry run)".to_owned(),
        (DryRun::Server, _) => "nothing was applied; the server accepts all of it (dry run)".to_owned(),
    };
    let done = match report.ready_after {
        Some(after) => format!("{done}; the broker takes items ({:.1} s)", after.as_secs_f64()),
        None => done,
    };
    let left_out: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
    if left_out.is_empty() {
        done
    } else {
        format!("{done}\n{}: left to `kubectl workqueue run`", left_out.join(", "))
    }
}
