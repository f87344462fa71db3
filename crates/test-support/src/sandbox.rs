//! A directory of its own for each test, with fake programs that are all that is on PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::running::hold_starts;
use crate::{Outcome, plugin, run};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A temporary directory with `bin/` for fake programs; it goes with the value. In what programs
/// print, its path is `[DIR]`.
pub struct Sandbox {
    dir: PathBuf,
}

impl Sandbox {
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("workqueue-test-{}-{number}", std::process::id()));
        fs::create_dir_all(dir.join("bin")).expect("a temporary directory");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file, with its directories.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below the sandbox")).expect("writable");
        let _guard = hold_starts();
        fs::write(&path, content).expect("writable");
        path
    }

    /// The content of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Puts a program on PATH: a shell script that first notes its name and arguments in `calls`.
    pub fn program(&self, name: &str, script: &str) {
        let calls = self.path("calls");
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", calls.display());
        let path = self.file(&format!("bin/{name}"), &text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }

    /// The command lines that fake programs got, one a line.
    pub fn calls(&self) -> String {
        let calls = fs::read(self.path("calls")).unwrap_or_default();
        String::from_utf8_lossy(&calls).replace(&self.dir.display().to_string(), "[DIR]")
    }

    /// A kubeconfig whose one context has these names; nobody answers at its address.
    pub fn kubeconfig(&self, context: &str, cluster: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
             contexts: [{{name: {context}, context: {{cluster: {cluster}, user: u}}}}]\n\
             clusters: [{{name: {cluster}, cluster: {{server: 'http://127.0.0.1:1'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        self.file("kubeconfig", &text);
    }

    /// The plugin, with nothing of the user's environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(plugin());
        command.args(args).current_dir(&self.dir).env_clear();
        command.env("PATH", self.path("bin")).env("HOME", &self.dir).env("TMPDIR", &self.dir);
        command.env("KUBECONFIG", self.path("kubeconfig"));
        command
    }

    /// Runs the plugin.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.finish(&mut self.command(args))
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn finish(&self, command: &mut Command) -> Outcome {
        run(command).redacted(&self.dir.display().to_string(), "[DIR]")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}
