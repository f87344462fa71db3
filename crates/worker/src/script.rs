//! A script that comes in a ConfigMap: anybody may have written that, so its files are copied to where they
//! stay as they are, and started only if they have the digest that the Job names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::platform::make_executable;

/// Where scripts are started from in the pods.
pub const SCRIPT_DIR: &str = "/run/workqueue/script";

/// Why a script is not started.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The files are not those that the Job names.
    #[error(
        "the files in {0} do not have the digest that the Job names: somebody else has written the ConfigMap of the script"
    )]
    Changed(String),
    /// The files could not be copied.
    #[error("cannot copy {from} to {to}: {source}")]
    Copy {
        /// The directory with the files.
        from: String,
        /// The directory for the copies.
        to: String,
        /// The system's error.
        source: io::Error,
    },
}

/// The SHA-256 digest, in hexadecimal, of files by their paths, in any order.
pub fn digest<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let files: BTreeMap<&str, &[u8]> = files.into_iter().collect();
    let mut hash = Sha256::new();
    for (path, content) in files {
        // A path contains no NUL, and the length says where the content ends.
        hash.update(path);
        hash.update([0]);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Copies the files below `from` into `to`, executable for all, if they have this digest. What is in `to`
/// is replaced.
///
/// # Errors
/// [`ScriptError`]; nothing is executable then.
pub fn place(from: &Path, to: &Path, sha256: &str) -> Result<(), ScriptError> {
    let failed =
        |source| ScriptError::Copy { from: from.display().to_string(), to: to.display().to_string(), source };
    let mut files = BTreeMap::new();
    read(from, "", &mut files).map_err(failed)?;
    let found = digest(files.iter().map(|(path, content)| (path.as_str(), content.as_slice())));
    if found != sha256 {
        return Err(ScriptError::Changed(from.display().to_string()));
    }
    empty(to).map_err(failed)?;
    for (path, content) in &files {
        write(&to.join(path), content).map_err(failed)?;
    }
    Ok(())
}

/// Reads files by their paths below `base`. Kubernetes' own entries of a volume, whose names begin with a
/// dot, lead to the same files.
fn read(directory: &Path, base: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{base}{name}");
        // Entries are links.
        if fs::metadata(entry.path())?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Makes a directory that may be a mount, and removes what an earlier start of the container has left.
fn empty(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)?;
    make_executable(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A volume as kubelets make it.
    fn volume(files: &[(&str, &str)]) -> tempfile::TempDir {
        let volume = tempfile::tempdir().expect("writable");
        let data = volume.path().join("..2026_01_01");
        for (path, content) in files {
            let file = data.join(path);
            fs::create_dir_all(file.parent().expect("it has one")).expect("writable");
            fs::write(file, content).expect("writable");
            let first = path.split('/').next().expect("a name");
            symlink(format!("..data/{first}"), volume.path().join(first)).ok();
        }
        symlink("..2026_01_01", volume.path().join("..data")).expect("writable");
        volume
    }

    fn of(files: &[(&str, &str)]) -> String {
        digest(files.iter().map(|(path, content)| (*path, content.as_bytes())))
    }

    #[test]
    fn files_that_the_job_names_are_copied_and_can_be_executed() {
        let files = [("main.sh", "#!/bin/sh\n"), ("lib/a b.sh", "x")];
        let (volume, to) = (volume(&files), tempfile::tempdir().expect("writable"));
        for _ in 0..2 {
            fs::create_dir_all(to.path().join("lib/left")).expect("writable");
            place(volume.path(), to.path(), &of(&files)).expect("they are the same");
        }
        assert_eq!(fs::read_to_string(to.path().join("lib/a b.sh")).expect("a copy"), "x");
        assert!(!to.path().join("lib/left").exists());
        let mode = fs::metadata(to.path().join("main.sh")).expect("a copy").permissions().mode();
        assert_eq!(mode & 0o555, 0o555);
    }

    #[test]
    fn anything_that_differs_is_refused_before_it_can_be_executed() {
        let files = [("main.sh", "#!/bin/sh\n"), ("lib/a.sh", "x")];
        let others: [&[(&str, &str)]; 4] = [
            &[("main.sh", "#!/bin/sh\nrm\n"), ("lib/a.sh", "x")],
            &[("main.sh", "#!/bin/sh\n")],
            &[("main.sh", "#!/bin/sh\n"), ("lib/a.sh", "x"), ("lib/b.sh", "")],
            &[("main.sh", "#!/bin/sh\n"), ("lib/b.sh", "x")],
        ];
        for other in others {
            let (volume, to) = (volume(other), tempfile::tempdir().expect("writable"));
            let error = place(volume.path(), to.path(), &of(&files)).expect_err("they differ");
            assert!(error.to_string().contains("somebody else has written the ConfigMap"), "{error}");
            assert_eq!(fs::read_dir(to.path()).expect("it is there").count(), 0);
        }
    }

    #[test]
    fn a_digest_tells_where_files_end() {
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bc\0d")]));
        assert_eq!(of(&[("a", "b"), ("c", "d")]), of(&[("c", "d"), ("a", "b")]));
    }
}
