//! `diff`: shows what `up` would change.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use similar::TextDiff;

use super::flags::{ClusterFlags, ValueFlags};
use crate::release::diff::{ObjectDiff, diff};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Show what `up` would change
///
/// Lets the server say what an apply would do, and changes nothing. What Secrets hold is masked.
/// Objects that an earlier `up` applied and that are no longer rendered are shown as deleted.
///
/// Exits with 0 if nothing would change, with 1 if something would, and with more on errors, as
/// `kubectl diff` does.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Values files of the chart, the last one wins; - reads standard input
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',', help_heading = "Chart")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    /// Compare as if fields that others manage were taken over
    #[arg(long)]
    force_conflicts: bool,
}

/// Runs the command.
pub async fn run(args: DiffArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let found = async {
        let cluster = args.cluster.connect().await?;
        let plan = args.values.plan(&args.files);
        Ok::<_, Failure>(diff(&cluster, &args.cluster.release, &plan, args.force_conflicts).await?)
    };
    let diffs = found.await.map_err(|failure| failure.with_status(ExitStatus::Usage))?;
    if diffs.is_empty() {
        return Ok(ExitStatus::Success);
    }
    for diff in &diffs {
        let text = unified(diff);
        ui.data(text.trim_end().as_bytes());
    }
    Ok(ExitStatus::Error)
}

fn unified(diff: &ObjectDiff) -> String {
    let yaml = |object: &Option<Value>| object.as_ref().map(helm_template::to_yaml).unwrap_or_default();
    let (before, after) = (yaml(&diff.before), yaml(&diff.after));
    let name = diff.object.to_string();
    let header = |object: &Option<Value>, side: &str| match object {
        Some(_) => format!("{side}/{name}"),
        None => "/dev/null".to_owned(),
    };
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header(&header(&diff.before, "live"), &header(&diff.after, "rendered"))
        .to_string()
}
