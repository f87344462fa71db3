//! Who may read and execute the files of a build context, on systems where files say so.

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Makes a temporary directory that only its owner may enter.
#[cfg(unix)]
pub(super) fn private_directory() -> io::Result<TempDir> {
    directory().permissions(permissions(0o700)).tempdir()
}

/// Makes a temporary directory. On Windows, each user has a place of their own for them.
#[cfg(not(unix))]
pub(super) fn private_directory() -> io::Result<TempDir> {
    directory().tempdir()
}

/// Sets the executable bit, which people forget. The image's user owns no files in it, but must be able to
/// read them.
#[cfg(unix)]
pub(super) fn make_executable(file: &Path) -> io::Result<()> {
    std::fs::set_permissions(file, permissions(0o755))
}

/// Windows has no such bit: engines there make all files of a context executable.
#[cfg(not(unix))]
pub(super) fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

fn directory() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("kubectl-workqueue-");
    builder
}

#[cfg(unix)]
fn permissions(mode: u32) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(mode)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_is_private_and_its_files_are_executable() {
        let directory = private_directory().expect("writable");
        let file = directory.path().join("program");
        std::fs::write(&file, "#!/bin/sh\n").expect("writable");
        make_executable(&file).expect("ours");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(directory.path()), mode(&file)), (0o700, 0o755));
    }
}
