//! `workqueue-worker install DIR`: copies the executable into a volume, from an image without a shell or
//! `cp`.

use std::path::{Path, PathBuf};

use crate::platform::{make_executable, this_executable};

/// The executable's name.
pub const NAME: &str = "workqueue-worker";

/// Copies the running executable into a directory, executable for all, and gives its path. An
/// older copy is replaced in one step.
///
/// # Errors
/// The system's error.
pub fn install(directory: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let (target, partial) = (directory.join(NAME), directory.join(format!(".{NAME}.partial")));
    std::fs::copy(this_executable()?, &partial)?;
    make_executable(&partial)?;
    std::fs::rename(&partial, &target)?;
    Ok(target)
}
