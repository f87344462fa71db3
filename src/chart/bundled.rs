//! The chart that the executable carries, and the presets of any chart.

use include_dir::{Dir, include_dir};

use super::{Chart, Error, ErrorKind, Result, ValuesFile, json, yaml};

static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/chart-templates");

/// Where a chart keeps its presets: values files, one a preset.
const PRESETS: &str = "presets/";

impl Chart {
    /// The bundled chart.
    ///
    /// # Errors
    /// None in a build that passed its tests: the chart is part of it.
    pub fn bundled() -> Result<Self> {
        Self::from_files(bundled_files())
    }

    /// The values of one of the chart's presets.
    ///
    /// # Errors
    /// No such preset; the message names those that there are.
    pub fn preset(&self, name: &str) -> Result<ValuesFile> {
        let path = format!("{PRESETS}{name}.yaml");
        let found = self.files().find(|(file, _)| *file == path);
        let text = found.and_then(|(_, bytes)| String::from_utf8(bytes.to_vec()).ok());
        text.map(|text| ValuesFile { name: path, text }).ok_or_else(|| {
            let names: Vec<&str> = self.files().filter_map(|(file, _)| preset_name(file)).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::new(ErrorKind::Values, format!("the chart has no preset {name:?}; it has: {known}"))
        })
    }
}

/// Whether a file's content is that of the bundled chart's file of this path.
pub(super) fn is_bundled(path: &str, content: &[u8]) -> bool {
    BUNDLED.get_file(path).is_some_and(|bundled| bundled.contents() == content)
}

fn preset_name(file: &str) -> Option<&str> {
    file.strip_prefix(PRESETS)?.strip_suffix(".yaml")
}

/// An object as YAML that readers of YAML 1.1, kubectl and helm among them, take for the same.
pub fn to_yaml(object: &serde_json::Value) -> String {
    // The emitter refuses values nested deeper than any that a server sends.
    yaml::to_yaml(&json::from_serde(object.clone())).unwrap_or_else(|_| object.to_string())
}

/// The files of the bundled chart: paths inside the chart, and contents.
pub fn bundled_files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut dirs = vec![&BUNDLED];
    while let Some(dir) = dirs.pop() {
        dirs.extend(dir.dirs());
        let found =
            dir.files().filter_map(|file| Some((file.path().to_str()?.to_owned(), file.contents().to_vec())));
        files.extend(found);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_chart_loads_and_has_presets() {
        let chart = Chart::bundled().expect("it is part of the build");
        assert_eq!(chart.name(), "workqueue");
        assert!(chart.preset("ephemeral").is_ok());
        let error = chart.preset("nonesuch").expect_err("there is none").to_string();
        assert!(error.contains("ephemeral, production, tutorial"), "{error}");
    }
}
