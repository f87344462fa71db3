//! The reports of `chart`.

use std::path::Path;

use workqueue_core::words::count;

/// The chart is in a directory.
pub fn exported(files: usize, directory: &Path) -> String {
    format!("{} of the chart written to {}", count(files as u64, "file"), directory.display())
}
