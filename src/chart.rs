//! The chart that is compiled into the executable, and the presets of any chart.

use helm_template::{Chart, Error, ValuesFile};
use include_dir::{Dir, include_dir};

static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/chart-templates");

/// The directory of a chart's presets: one values file per preset.
const PRESETS: &str = "presets/";

/// The bundled chart.
///
/// # Errors
/// Never in a build that passed its tests, since the chart is compiled in.
pub fn bundled() -> Result<Chart, Error> {
    Chart::from_files(bundled_files())
}

/// The files of the bundled chart: path in the chart, and content.
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

/// The values of one of a chart's presets.
///
/// # Errors
/// There is no such preset. The error holds the names of those that exist.
pub fn preset(chart: &Chart, name: &str) -> Result<ValuesFile, Vec<String>> {
    let path = format!("{PRESETS}{name}.yaml");
    let found = chart.files().find(|(file, _)| *file == path);
    let text = found.and_then(|(_, bytes)| String::from_utf8(bytes.to_vec()).ok());
    let known = || chart.files().filter_map(|(file, _)| preset_name(file)).map(str::to_owned).collect();
    text.map(|text| ValuesFile { name: path, text }).ok_or_else(known)
}

fn preset_name(file: &str) -> Option<&str> {
    file.strip_prefix(PRESETS)?.strip_suffix(".yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_chart_loads_and_has_presets() {
        let chart = bundled().expect("it is part of the build");
        assert_eq!(chart.name(), "workqueue");
        assert!(preset(&chart, "ephemeral").is_ok());
        let known = preset(&chart, "nonesuch").expect_err("there is none");
        assert_eq!(known, ["ephemeral", "hardened", "production", "tutorial"]);
    }
}
