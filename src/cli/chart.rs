//! `chart`: writes the bundled chart to a directory.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::release::export::{export, package};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::{Ui, reports};

/// Write the bundled chart to a directory
///
/// It is an ordinary Helm chart: `helm install queue DIR` installs it, and `up --chart DIR` uses it
/// with your changes.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// The directory, created if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
    /// Write to a directory that is not empty, and overwrite files of the same names
    #[arg(long)]
    force: bool,
    /// Write one archive, NAME-VERSION.tgz, to the directory instead, as `helm package` does
    #[arg(long, conflicts_with = "force")]
    package: bool,
}

pub fn run(args: &ChartArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    if args.package {
        let path = package(&args.directory)?;
        ui.data(path.display().to_string().as_bytes());
        return Ok(ExitStatus::Success);
    }
    let written = export(&args.directory, args.force)?;
    for path in &written {
        ui.detail(&path.display().to_string());
    }
    ui.status(&reports::chart::exported(written.len(), &args.directory));
    Ok(ExitStatus::Success)
}
