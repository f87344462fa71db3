//! Where the executables under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The plugin of this build. Cargo builds it before the tests of its package, and names it to them
/// when they run; a test that is started without cargo looks above its own directory.
pub fn plugin() -> PathBuf {
    const NAME: &str = "kubectl-workqueue";
    if let Some(path) = std::env::var_os(format!("CARGO_BIN_EXE_{NAME}")) {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test has a path");
    let path = test.ancestors().nth(2).expect("it lies in deps").join(NAME);
    assert!(path.exists(), "{} is missing: run `cargo build`", path.display());
    path
}

/// The worker of this build. It belongs to another package than the tests: it is built here, which
/// takes a moment if nothing has changed.
pub fn worker() -> &'static Path {
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    WORKER.get_or_init(|| {
        let plugin = plugin();
        let directory = plugin.parent().expect("it lies in a directory");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build.args(["build", "--quiet", "--locked", "--package", "workqueue-worker"]);
        build.arg("--target-dir").arg(directory.parent().expect("it lies in the target directory"));
        if directory.ends_with("release") {
            build.arg("--release");
        }
        let status = outside_of_tests(&mut build).current_dir(root()).status().expect("cargo starts");
        assert!(status.success(), "the worker was not built");
        directory.join("workqueue-worker")
    })
}

/// A directory for PYTHONPATH with AWS's client for this version of Python, or for the one on this machine.
pub fn awslambdaric(python: Option<&str>) -> PathBuf {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _guard = INSTALLING.lock();
    let mut install = Command::new(root().join("tests/runtime/awslambdaric"));
    let installed = install.args(python).output().expect("it is there");
    let said = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "{said}");
    String::from_utf8(installed.stdout).expect("text").trim().into()
}

/// Takes away what cargo tells a test of its package: it would make another cargo build again what
/// depends on that.
pub(crate) fn outside_of_tests(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "OUT_DIR"];
        if name.to_str().is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}
