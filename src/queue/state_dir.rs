//! Where the plugin keeps what it knows between two commands.

use std::path::PathBuf;

/// The directory: `$XDG_STATE_HOME/kubectl-workqueue`, by default under `~/.local/state`, or on Windows under
/// `%LOCALAPPDATA%`. `None` without a home directory.
pub(crate) fn state_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let default = || match cfg!(windows) {
        true => absolute("LOCALAPPDATA"),
        false => Some(absolute("HOME")?.join(".local/state")),
    };
    let home = absolute("XDG_STATE_HOME").or_else(default)?;
    Some(home.join("kubectl-workqueue"))
}
