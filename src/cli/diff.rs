//! `diff`: shows what `up` would change.

use clap::Args;

use super::flags::{ChartFlags, ClusterFlags, RememberFlags};
use crate::release::diff::diff;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::{Ui, reports};

/// Show what `up` would change
///
/// Without values, those that the release was given before are used, as by `up`.
///
/// Asks the server what an apply would do, and changes nothing. The contents of Secrets are masked.
/// Objects that an earlier `up` applied and that are no longer rendered are shown as deleted.
///
/// Exits with 0 if nothing would change, with 1 if something would, and with a higher code on
/// errors, as `kubectl diff` does.
#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    chart: ChartFlags,
    #[command(flatten)]
    remember: RememberFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    /// Compare as if fields that other field managers own were taken over
    #[arg(long)]
    force_conflicts: bool,
}

pub async fn run(args: DiffArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let found = async {
        let cluster = args.cluster.connect().await?;
        let plan = args.chart.plan();
        let remember = args.remember.remember();
        let found = diff(&cluster, &args.cluster.release, &plan, remember, args.force_conflicts, ui);
        Ok::<_, Failure>(found.await?)
    };
    let diffs = found.await.map_err(|failure| failure.with_status(ExitStatus::Usage))?;
    if diffs.is_empty() {
        return Ok(ExitStatus::Success);
    }
    for diff in &diffs {
        ui.data(reports::diff::unified(diff).trim_end().as_bytes());
    }
    Ok(ExitStatus::Error)
}
