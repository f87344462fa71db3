//! Reads the files of a packaged chart.

use std::io::Read as _;

use super::MAX_FILE;
use crate::error::{Error, ErrorKind, Result};

/// How large all files of an archive may be in total.
const MAX_ARCHIVE: u64 = 100 << 20;

fn failed(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Chart, format!("cannot read the chart archive: {error}"))
}

/// The files of a `.tgz`, without the directory that they are packed in.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let unpacked = flate2::read::GzDecoder::new(bytes).take(MAX_ARCHIVE);
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(|error| failed(&error))? {
        let mut entry = entry.map_err(|error| failed(&error))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(|error| failed(&error))?;
        let path = path.to_string_lossy().replace('\\', "/");
        let Some((_, inside)) = path.split_once('/') else {
            return Err(Error::new(
                ErrorKind::Chart,
                "chart illegally contains a file outside its directory",
            )
            .on(path));
        };
        if inside.starts_with('/') || inside.split('/').any(|part| part == "..") {
            let message = "chart illegally contains content outside its directory";
            return Err(Error::new(ErrorKind::Chart, message).on(path));
        }
        let inside = inside.to_owned();
        let mut content = Vec::new();
        let mut limited = (&mut entry).take(MAX_FILE as u64 + 1);
        limited.read_to_end(&mut content).map_err(|error| failed(&error))?;
        files.push((inside, content));
    }
    Ok(files)
}
