//! Reads the files of a chart from a directory.

use std::fs;
use std::path::Path;

use super::MAX_FILE;
use super::ignore::Rules;
use crate::error::{Error, ErrorKind, Result};

/// Deeper directories are treated as a loop of links.
const MAX_DEPTH: usize = 64;

/// The files below a directory, without those that `.helmignore` names.
pub(super) fn read(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let rules = match fs::read_to_string(root.join(".helmignore")) {
        Ok(text) => Rules::parse(&text)?,
        Err(_) => Rules::parse("")?,
    };
    let mut files = Vec::new();
    walk(root, "", &rules, &mut files, 0)?;
    Ok(files)
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Chart, error.to_string()).on(path.display().to_string())
}

fn walk(
    directory: &Path,
    prefix: &str,
    rules: &Rules,
    files: &mut Vec<(String, Vec<u8>)>,
    depth: usize,
) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("directories are nested deeper than {MAX_DEPTH} levels");
        return Err(Error::new(ErrorKind::Limit, message).on(prefix));
    }
    let entries = fs::read_dir(directory).map_err(|error| failed(directory, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(directory, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    for name in names {
        let path = directory.join(&name);
        let relative = format!("{prefix}{name}");
        // Follows links, as helm does.
        let kind = fs::metadata(&path).map_err(|error| failed(&path, &error))?;
        if rules.ignores(&relative, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, &format!("{relative}/"), rules, files, depth + 1)?;
        } else if !kind.is_file() {
            let message = "cannot load an irregular file as part of a chart";
            return Err(Error::new(ErrorKind::Chart, message).on(path.display().to_string()));
        } else if kind.len() > MAX_FILE as u64 {
            let message = format!("file is larger than the limit of {MAX_FILE} bytes");
            return Err(Error::new(ErrorKind::Limit, message).on(path.display().to_string()));
        } else {
            let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
            files.push((relative, bytes));
        }
    }
    Ok(())
}
