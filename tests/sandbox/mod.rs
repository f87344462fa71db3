//! A directory of its own for each test, with fake programs that are all that is on PATH.
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A process that is being started holds all files that are open at that moment, for a moment: a
/// script that is being written by another thread could then not be run ("text file busy").
static SPAWNING: Mutex<()> = Mutex::new(());

/// A temporary directory with `bin/` for fake programs; it goes with the value.
pub struct Sandbox {
    dir: PathBuf,
}

/// What a program printed, with the sandbox's path as `[DIR]`, and its exit code.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Sandbox {
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
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below the sandbox")).expect("writable");
        let _guard = SPAWNING.lock();
        fs::write(&path, content).expect("writable");
        path
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
        self.redacted(&fs::read(self.path("calls")).unwrap_or_default())
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-workqueue"));
        command.args(args).current_dir(&self.dir).env_clear().stdin(Stdio::null());
        command.env("PATH", self.path("bin")).env("HOME", &self.dir).env("TMPDIR", &self.dir);
        command.env("KUBECONFIG", self.path("kubeconfig"));
        command
    }

    /// Runs the plugin.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.finish(&mut self.command(args))
    }

    /// Runs a command to its end.
    pub fn finish(&self, command: &mut Command) -> Outcome {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = {
            let _guard = SPAWNING.lock();
            command.spawn().expect("the program starts")
        };
        let output = child.wait_with_output().expect("the program ends");
        Outcome {
            stdout: self.redacted(&output.stdout),
            stderr: self.redacted(&output.stderr),
            code: output.status.code(),
        }
    }

    fn redacted(&self, text: &[u8]) -> String {
        String::from_utf8_lossy(text).replace(&self.dir.display().to_string(), "[DIR]")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
