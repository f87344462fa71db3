//! `workqueue-worker install DIR`: copies the executable into a volume, from an image without a shell or
//! `cp`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

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
    std::fs::copy("/proc/self/exe", &partial)?;
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&partial, &target)?;
    Ok(target)
}
