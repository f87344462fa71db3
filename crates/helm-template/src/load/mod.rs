//! Reads charts: from files in memory, from a directory, from an archive.

mod archive;
mod dependency;
mod directory;
mod fields;
mod ignore;
mod metadata;

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{Error, ErrorKind, Result};
use super::limits::MAX_FILE;
pub(crate) use dependency::{Dependency, Import};
pub(crate) use metadata::Metadata;

/// How deep charts may be nested in each other's `charts/`.
const MAX_CHART_DEPTH: usize = 32;

/// A chart that was read and checked, but not yet rendered.
#[derive(Debug, Clone)]
pub struct Chart {
    pub(crate) metadata: Metadata,
    /// The text of `values.yaml`.
    pub(crate) values: String,
    pub(crate) schema: Option<Vec<u8>>,
    /// The files below `templates/`, by path.
    pub(crate) templates: BTreeMap<String, String>,
    /// All other files, which templates see as `.Files`.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The charts below `charts/`.
    pub(crate) dependencies: Vec<Chart>,
}

impl Chart {
    /// Reads a chart from its files: pairs of a path inside the chart, with slashes, and content.
    ///
    /// # Errors
    /// If `Chart.yaml` is missing or not valid, or if a chart in `charts/` cannot be read.
    pub fn from_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        Self::from_files_at(files.into_iter().collect(), 0)
    }

    /// Reads a chart from a directory; files that its `.helmignore` names are left out.
    ///
    /// # Errors
    /// If a file cannot be read, or as [`Chart::from_files`] does.
    pub fn from_dir(path: &Path) -> Result<Self> {
        Self::from_files(directory::read(path)?)
    }

    /// Reads a chart from a packaged `.tgz`.
    ///
    /// # Errors
    /// If the archive cannot be read, or as [`Chart::from_files`] does.
    pub fn from_archive(bytes: &[u8]) -> Result<Self> {
        Self::from_files(archive::read(bytes)?)
    }

    fn from_files_at(files: Vec<(String, Vec<u8>)>, depth: usize) -> Result<Self> {
        if depth > MAX_CHART_DEPTH {
            let message = format!("charts are nested deeper than {MAX_CHART_DEPTH} levels");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let mut chart_yaml = None;
        let (mut requirements, mut requirements_lock) = (None, None);
        let mut chart = Contents::default();
        for (path, bytes) in files {
            let bytes = without_bom(bytes);
            if bytes.len() > MAX_FILE {
                let message = format!("file is larger than the limit of {MAX_FILE} bytes");
                return Err(Error::new(ErrorKind::Limit, message).on(path));
            }
            match path.as_str() {
                "Chart.yaml" => chart_yaml = Some(text(bytes)),
                "requirements.yaml" => requirements = Some(text(bytes)),
                "requirements.lock" => requirements_lock = Some(bytes),
                _ => chart.add(path, bytes),
            }
        }
        let chart_yaml =
            chart_yaml.ok_or_else(|| Error::new(ErrorKind::Chart, "Chart.yaml file is missing"))?;
        let metadata = Metadata::read(&chart_yaml, requirements.as_deref())?;
        if metadata.is_v1() {
            let files = [
                ("requirements.yaml", requirements.map(String::into_bytes)),
                ("requirements.lock", requirements_lock),
            ];
            let found = files.into_iter().filter_map(|(name, bytes)| Some((name.to_owned(), bytes?)));
            chart.files.extend(found);
        }
        Ok(Self {
            dependencies: chart.read_subcharts(depth)?,
            metadata,
            values: chart.values,
            schema: chart.schema,
            templates: chart.templates,
            files: chart.files,
        })
    }

    /// The chart's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The chart's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.metadata.version
    }

    /// The files that are neither templates nor part of another chart, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The paths of the templates, such as `templates/job.yaml`.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn without_bom(bytes: Vec<u8>) -> Vec<u8> {
    match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    }
}

/// The files of a chart, sorted by what they are.
#[derive(Default)]
struct Contents {
    values: String,
    schema: Option<Vec<u8>>,
    templates: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    /// The files below `charts/`, by the name of the directory or archive.
    charts: BTreeMap<String, Vec<(String, Vec<u8>)>>,
}

impl Contents {
    fn add(&mut self, path: String, bytes: Vec<u8>) {
        match path.as_str() {
            "values.yaml" => self.values = text(bytes),
            "values.schema.json" => self.schema = Some(bytes),
            // It only records how charts/ was filled.
            "Chart.lock" => {}
            _ if path.starts_with("templates/") => {
                self.templates.insert(path, text(bytes));
            }
            _ => match path.strip_prefix("charts/") {
                Some(inner) if !path.ends_with(".prov") => {
                    let name = inner.split('/').next().unwrap_or(inner).to_owned();
                    self.charts.entry(name).or_default().push((inner.to_owned(), bytes));
                }
                _ => {
                    self.files.insert(path, bytes);
                }
            },
        }
    }

    fn read_subcharts(&mut self, depth: usize) -> Result<Vec<Chart>> {
        let mut charts = Vec::new();
        for (name, files) in std::mem::take(&mut self.charts) {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let files = if name.ends_with(".tgz") {
                archive::read(&files[0].1)?
            } else {
                // A file that lies directly in charts/ belongs to no chart.
                let inside = files.into_iter().filter_map(|(path, bytes)| {
                    let (_, path) = path.split_once('/')?;
                    Some((path.to_owned(), bytes))
                });
                inside.collect()
            };
            let chart = Chart::from_files_at(files, depth + 1);
            charts.push(chart.map_err(|error| error.on(format!("charts/{name}")))?);
        }
        Ok(charts)
    }
}
