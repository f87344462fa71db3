//! Exports the bundled chart as a directory or as a Helm chart archive.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::chart::{bundled, bundled_files};
use crate::error::{Error, cannot_write};

/// Writes the chart's files into a directory, which is created if it is missing. Returns their sorted
/// paths.
///
/// # Errors
/// [`Error::NotEmpty`] for a directory that is not empty, unless `force` is set; [`Error::Write`].
pub fn export(directory: &Path, force: bool) -> Result<Vec<PathBuf>, Error> {
    let occupied = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(cannot_write(directory, error)),
    };
    if occupied && !force {
        return Err(Error::NotEmpty(directory.display().to_string()));
    }
    let mut written = Vec::new();
    for (path, bytes) in bundled_files() {
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(|error| cannot_write(parent, error))?;
        std::fs::write(&path, bytes).map_err(|error| cannot_write(&path, error))?;
        written.push(path);
    }
    written.sort();
    Ok(written)
}

/// Packs the chart into `NAME-VERSION.tgz` in a directory, as `helm package` does. Returns its path.
pub fn package(directory: &Path) -> Result<PathBuf, Error> {
    let chart = bundled()?;
    let path = directory.join(format!("{}-{}.tgz", chart.name(), chart.version()));
    let packed = pack(chart.name()).and_then(|archive| {
        std::fs::create_dir_all(directory)?;
        std::fs::write(&path, archive)
    });
    packed.map_err(|error| cannot_write(&path, error))?;
    Ok(path)
}

/// Builds the archive: every file below a directory with the chart's name. It has no times or owners,
/// so that the same chart always gives the same archive.
fn pack(name: &str) -> io::Result<Vec<u8>> {
    let mut files = bundled_files();
    files.sort();
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{name}/{path}"), bytes.as_slice())?;
    }
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    compressed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use helm_template::Chart;

    #[test]
    fn the_package_holds_the_chart() {
        let archive = pack("workqueue").expect("in memory");
        let chart = Chart::from_archive(&archive).expect("a chart");
        assert_eq!(chart.name(), "workqueue");
        assert_eq!(chart.templates().count(), bundled().expect("bundled").templates().count());
        assert_eq!(archive, pack("workqueue").expect("in memory"));
    }
}
