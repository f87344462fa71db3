//! The static `workqueue-worker` executable that goes into images and pods: finds it and inspects it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Error;
use workqueue_core::worker_mark::{END, START};

/// The executable's file name, on this machine and in images.
pub(super) const NAME: &str = "workqueue-worker";

/// The architectures of workers, as images and nodes name them.
pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Bytes read from the executable. Its ELF header and the program headers, which say whether it
/// needs a loader, are at its start.
const HEAD: u64 = 4096;

/// The most bytes of a version.
const MOST_VERSION: usize = 100;

/// A worker executable that runs in any image of its architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerBinary {
    path: PathBuf,
    architecture: &'static str,
}

impl WorkerBinary {
    /// Opens the worker at a path.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::WorkerNotStatic`].
    pub fn at(path: &Path) -> Result<Self, Error> {
        let read_error = |source| Error::Read { path: path.to_owned(), source };
        let mut head = Vec::new();
        File::open(path).map_err(read_error)?.take(HEAD).read_to_end(&mut head).map_err(read_error)?;
        let architecture =
            static_architecture(&head).ok_or_else(|| Error::WorkerNotStatic(path.to_owned()))?;
        Ok(Self { path: path.to_owned(), architecture })
    }

    /// Finds the worker of an architecture next to the running program, where the installer puts it, or
    /// on PATH. Its name may end in the platform, as in `workqueue-worker-linux-arm64`. Skips one that is
    /// not static, such as a developer's build.
    pub fn find(architecture: &str) -> Option<Self> {
        let names = [format!("{NAME}-linux-{architecture}"), NAME.to_owned()];
        let files =
            directories().into_iter().flat_map(|directory| names.clone().map(|name| directory.join(name)));
        files.filter_map(|file| Self::at(&file).ok()).find(|worker| worker.architecture == architecture)
    }

    /// Finds the workers for an image of these platforms, such as `linux/arm64`: for all of them, or none. No
    /// platforms mean the engine's own, which is assumed to have this machine's architecture.
    pub fn for_platforms(platforms: &[String]) -> Vec<Self> {
        architectures(platforms).into_iter().map(Self::find).collect::<Option<_>>().unwrap_or_default()
    }

    /// The workers of all architectures that are found.
    pub fn all() -> Vec<Self> {
        ARCHITECTURES.into_iter().filter_map(Self::find).collect()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The architecture, as images and nodes name it.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// The content of the executable.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        std::fs::read(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })
    }
}

/// The version of the worker with this content; `None` if it has no mark, as before there were marks.
pub fn worker_version(executable: &[u8]) -> Option<&str> {
    let marks = memchr::memmem::find_iter(executable, START);
    marks.into_iter().find_map(|at| {
        let rest = &executable[at + START.len()..];
        let end = rest.iter().take(MOST_VERSION).position(|&byte| byte == END as u8)?;
        let version = std::str::from_utf8(&rest[..end]).ok()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
    })
}

/// Where workers are looked for.
fn directories() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    // krew puts a link on PATH; the worker lies beside the file that it leads to.
    let linked = program.as_deref().and_then(|program| program.canonicalize().ok());
    let beside = [program, linked].into_iter().flatten().filter_map(|file| file.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.chain(std::env::split_paths(&path)).collect()
}

/// The architectures of platforms, each once; of no platforms, this machine's.
fn architectures(platforms: &[String]) -> BTreeSet<&str> {
    if platforms.is_empty() {
        return BTreeSet::from([match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }]);
    }
    platforms.iter().map(|platform| platform.split('/').nth(1).unwrap_or(platform)).collect()
}

/// The architecture, as images name it, of a 64-bit little-endian ELF executable without a loader.
/// `None` for any other file.
fn static_architecture(head: &[u8]) -> Option<&'static str> {
    const LOADER: u64 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = head.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for entry in 0..count {
        let at = usize::try_from(table + entry * size).ok()?;
        if number(at, 4)? == LOADER {
            return None;
        }
    }
    match number(18, 2)? {
        62 => Some("amd64"),
        183 => Some("arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and a table of program headers of these types.
    fn executable(machine: u8, types: &[u8]) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01".to_vec();
        head.resize(64 + 56 * types.len(), 0);
        (head[18], head[32], head[54], head[56]) = (machine, 64, 56, types.len() as u8);
        for (number, kind) in types.iter().enumerate() {
            head[64 + 56 * number] = *kind;
        }
        head
    }

    #[test]
    fn static_executables_are_recognized() {
        assert_eq!(static_architecture(&executable(62, &[1, 2, 1])), Some("amd64"));
        assert_eq!(static_architecture(&executable(183, &[1])), Some("arm64"));
        assert_eq!(static_architecture(&executable(62, &[6, 3, 1])), None);
        assert_eq!(static_architecture(&executable(8, &[1])), None);
        assert_eq!(static_architecture(b"#!/bin/sh\n"), None);
        assert_eq!(static_architecture(&executable(62, &[1, 2, 1])[..100]), None);
    }

    #[test]
    fn the_version_of_a_worker_is_found_in_its_executable() {
        let with = |mark: &str| [b"\x7fELF code ", mark.as_bytes(), b" more code"].concat();
        assert_eq!(worker_version(&with(workqueue_core::worker_mark::MARK)), Some(env!("CARGO_PKG_VERSION")));
        let twice = with(&format!("{START}\0 and {START}1.2.3-rc.1{END}"));
        assert_eq!(worker_version(&twice), Some("1.2.3-rc.1"));
        assert_eq!(worker_version(&with(START)), None);
        assert_eq!(worker_version(b"\x7fELF"), None);
    }

    #[test]
    fn platforms_have_architectures() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            architectures(&names).into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&["linux/arm64/v8"]), "arm64");
        assert_eq!(of(&["linux/arm64", "linux/amd64", "linux/arm64/v8"]), "amd64 arm64");
        assert!(!of(&[]).is_empty(), "this machine has one");
    }
}
