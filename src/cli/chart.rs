//! `chart`: writes the bundled chart out.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::release::export::{export, package};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Write the bundled chart into a directory
///
/// It is a chart like any other: `helm install queue DIR` installs it, and `up --chart DIR` uses
/// it with changes of your own.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// The directory, made if it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
    /// Write into a directory that is not empty, over files of the same names
    #[arg(long)]
    force: bool,
    /// Write one archive, NAME-VERSION.tgz, into the directory instead, as `helm package` does
    #[arg(long, conflicts_with = "force")]
    package: bool,
}

/// Runs the command.
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
    ui.status(&format!("{} files of the chart are in {}", written.len(), args.directory.display()));
    Ok(ExitStatus::Success)
}
