//! `up`: brings the broker up.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::flags::{ChartFlags, ClusterFlags, OutputFlags, RememberFlags, duration};
use crate::cluster::Cluster;
use crate::doctor::quick;
use crate::error::Error;
use crate::release::up::{self, DryRun, Loaded, UpPlan};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::up::UpJson;
use crate::ui::reports::up as words;

/// Deploy the broker, or bring it up to date
///
/// Creates the Secrets with random credentials that are missing, applies the chart's manifests
/// server-side, and waits until the broker accepts a login. If run again, it changes only what is
/// different.
///
/// The release remembers the values that it was given: without any, they are used again.
/// --dry-run=client does not know them.
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    chart: ChartFlags,
    #[command(flatten)]
    remember: RememberFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Show what would be applied: `client` contacts no cluster, `server` lets it validate
    #[arg(long, value_name = "WHERE", default_value = "none", default_missing_value = "client")]
    #[arg(num_args = 0..=1, require_equals = true)]
    dry_run: DryRunFlag,
    /// Do not wait for the broker
    #[arg(long)]
    no_wait: bool,
    /// Create the namespace if it does not exist
    #[arg(long)]
    create_namespace: bool,
    /// Prune a broker with messages without asking
    #[arg(short, long)]
    yes: bool,
    /// Take over fields that other field managers own
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

pub async fn run(args: UpArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let mut plan = UpPlan {
        release: args.cluster.release.clone(),
        chart: args.chart.plan(),
        remember: args.remember.remember(),
        dry_run: args.dry_run.into(),
        create_namespace: args.create_namespace,
        force_conflicts: args.force_conflicts,
        prune_brokers: false,
        wait: !args.no_wait,
        timeout: args.timeout,
    };
    let report = if plan.dry_run == DryRun::Client {
        let report = up::preview(&plan, &args.cluster.offline_namespace().await)?;
        if !args.output.is_json() {
            ui.data(words::objects(&report).as_bytes());
        }
        report
    } else {
        let cluster = args.cluster.connect().await?;
        let loaded = up::load(&cluster, &plan, ui).await?;
        plan.prune_brokers =
            plan.dry_run == DryRun::None && may_prune(&cluster, &plan, &loaded, args.yes, ui).await?;
        let checks = quick::of_up(&cluster, &plan.release, &loaded, ui);
        quick::beside(up::up(&cluster, &plan, &loaded, ui), checks).await?
    };
    ui.done();
    if args.output.is_json() {
        ui.json(&UpJson::of(&plan, &report));
    }
    ui.status(&words::summary(&plan, &report));
    Ok(ExitStatus::Success)
}

/// Whether a broker is to be pruned: after saying what is in its queues.
///
/// # Errors
/// The user does not agree, or cannot be asked.
async fn may_prune(
    cluster: &Cluster,
    plan: &UpPlan,
    loaded: &Loaded,
    yes: bool,
    ui: &Ui,
) -> Result<bool, Failure> {
    let Some(broker) = up::pruned_broker(cluster, plan, loaded).await? else { return Ok(false) };
    if broker.is_empty() {
        return Ok(true);
    }
    words::pruned_broker(&broker).iter().for_each(|line| ui.status(line));
    if yes || ui.may_delete(&broker.object.to_string())? {
        return Ok(true);
    }
    Err(Error::BrokerPruned(broker.object).into())
}
