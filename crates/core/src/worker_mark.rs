//! The mark by which the version of a worker is found in its executable, whatever machine that is for.

macro_rules! start {
    () => {
        "[workqueue-worker version "
    };
}

/// What a mark begins with; the version and [`END`] follow.
pub const START: &str = start!();

/// What it ends with.
pub const END: char = ']';

/// The mark of the worker of this version. The worker's executable contains it.
pub const MARK: &str = concat!(start!(), env!("CARGO_PKG_VERSION"), "]");
