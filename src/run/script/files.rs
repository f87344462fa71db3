//! The files of a script on this machine: finds them below a directory and reads what fits into a
//! ConfigMap.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::config_maps::MAX_VALUES;
use crate::error::Error;

#[derive(Debug, Clone)]
pub(super) struct File {
    /// Its path in the pods.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

/// A file to read: where it is, its path in the pods, and its size in bytes.
pub(super) type Found = (PathBuf, String, u64);

/// Collects the files below a directory, by name.
pub(super) fn walk(directory: &Path, prefix: &str, found: &mut Vec<Found>) -> Result<(), Error> {
    let mut entries = fs::read_dir(directory)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(|source| cannot_read(directory, source))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { return Err(refused(&path, "its name is not UTF-8")) };
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        let kind = entry.file_type().map_err(|source| cannot_read(&path, source))?;
        let mounted = format!("{prefix}{name}");
        if kind.is_dir() {
            walk(&path, &format!("{mounted}/"), found)?;
        } else {
            take_file(&path, mounted, found)?;
        }
        if found.iter().map(|(_, _, size)| size).sum::<u64>() > MAX_VALUES as u64 {
            // It may be the root of a disk: the rest is not looked at.
            return Ok(());
        }
    }
    Ok(())
}

pub(super) fn take_file(path: &Path, mounted: String, found: &mut Vec<Found>) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|source| cannot_read(path, source))?;
    if metadata.is_dir() {
        return Err(refused(path, "it is a link to a directory"));
    }
    if !metadata.is_file() {
        return Err(refused(path, "it is not a file"));
    }
    found.push((path.to_owned(), mounted, metadata.len()));
    Ok(())
}

/// Reads files that fit into a ConfigMap together. `path` is what the user has named.
pub(super) fn read_all(path: &Path, found: Vec<Found>) -> Result<Vec<File>, Error> {
    let too_large = || Error::ScriptTooLarge { path: path.display().to_string(), limit: MAX_VALUES };
    if found.iter().map(|(_, _, size)| size).sum::<u64>() > MAX_VALUES as u64 {
        return Err(too_large());
    }
    let read = |(file, path, _): Found| {
        let content = fs::read(&file).map_err(|source| cannot_read(&file, source))?;
        Ok::<_, Error>(File { path, content })
    };
    let files = found.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // Files may have grown.
    let size: usize = files.iter().map(|file| file.content.len()).sum();
    if size > MAX_VALUES { Err(too_large()) } else { Ok(files) }
}

fn cannot_read(path: &Path, source: std::io::Error) -> Error {
    Error::Read { path: path.display().to_string(), source }
}

pub(super) fn refused(path: &Path, reason: &str) -> Error {
    Error::Script { path: path.display().to_string(), reason: reason.to_owned() }
}
