//! Runs with `workqueue-worker` in the pods.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use workqueue_core::worker_mark::MARK;

use crate::programs::outside_of_tests;
use crate::{Bed, Outcome, Running, kubectl, plugin, registry, root, run, seed_worker, worker};

/// The static worker, built from this checkout.
fn static_worker() -> &'static Path {
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    WORKER.get_or_init(|| {
        // Not under the deadline of a test's command: a first build takes minutes.
        let mut build = Command::new(root().join("scripts/build-worker"));
        let built = outside_of_tests(&mut build).output().expect("it is there");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        String::from_utf8(built.stdout).expect("text").trim().into()
    })
}

/// A directory with kubectl, the plugin, the static worker, and what stands for the worker of another
/// architecture.
pub(crate) fn plugin_with_worker() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| plugin_beside("e2e-with-worker", b""))
}

/// The same as another build: its worker is as good, and has another digest.
fn other_plugin_with_worker() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| plugin_beside("e2e-with-other-worker", b"another build\n"))
}

/// Makes the directory, with something behind the end of the worker.
fn plugin_beside(name: &str, more: &[u8]) -> PathBuf {
    let dir = plugin().with_file_name(name);
    std::fs::create_dir_all(&dir).expect("writable");
    // Another test program may run those that are there.
    let place = |name: &str, make: &dyn Fn(&Path) -> std::io::Result<()>| {
        let fresh = dir.join(format!(".{name}-{}", std::process::id()));
        make(&fresh).and_then(|()| std::fs::rename(&fresh, dir.join(name))).expect("writable");
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("kubectl"));
    let kubectl = found.find(|file| file.is_file()).expect("kubectl is on PATH");
    place("kubectl", &|fresh| std::os::unix::fs::symlink(&kubectl, fresh));
    place("kubectl-workqueue", &|fresh| std::fs::copy(plugin(), fresh).map(|_| ()));
    let worker = [&std::fs::read(static_worker()).expect("it was built"), more].concat();
    place("workqueue-worker", &|fresh| std::fs::write(fresh, &worker));
    place("workqueue-worker-linux-arm64", &|fresh| std::fs::write(fresh, static_program(183)));
    dir
}

/// The header of a static 64-bit executable for an ELF machine, 62 for amd64 and 183 for arm64, with the mark of
/// a worker of this version.
pub fn static_program(machine: u8) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01".to_vec();
    head.resize(64, 0);
    (head[18], head[32], head[54]) = (machine, 64, 56);
    head.extend_from_slice(MARK.as_bytes());
    head
}

/// The image with only the static worker in it, built from this checkout and pushed to the test
/// bed's registry.
pub fn worker_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let binary = static_worker().display().to_string();
        let name = format!("{}/workqueue-worker:e2e", registry());
        let build = ["build", "--worker-only", "--worker", &binary, "--image", &name, "--push"];
        run(kubectl().arg("workqueue").args(build)).ok().says("is pushed").stdout.trim().to_owned()
    })
}

impl Bed {
    /// `kubectl workqueue …` of another build of the plugin, to be run in any way.
    pub fn other_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("PATH", other_plugin_with_worker());
        command
    }

    /// `run` with a worker that is copied into the tutorial's image, and a shell script for each item.
    pub fn run_script(&self, flags: &[&str], script: &str) -> Outcome {
        self.start_script(flags, script).finish()
    }

    /// Starts the same, and leaves it to the test.
    pub fn start_script(&self, flags: &[&str], script: &str) -> Running {
        let image = seed_worker();
        let head = ["run", "--image", &image, "--worker-image", worker_image()];
        self.start(&[&head, flags, &["--", "/bin/sh", "-c", script]].concat())
    }

    /// The names of the worker pods that run, once there are as many.
    pub fn running_workers(&self, wanted: usize) -> Vec<String> {
        let select =
            ["pods", "-l", "app.kubernetes.io/component=worker", "--field-selector", "status.phase=Running"];
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let pods = self.get(&select);
            let names = pods["items"].as_array().into_iter().flatten();
            let names: Vec<String> =
                names.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
            if names.len() >= wanted {
                return names;
            }
            assert!(Instant::now() < deadline, "the workers did not start: {names:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Starts a worker on this machine, which reaches the pods of the test bed.
    pub fn start_worker(&self, run: &str, args: &[&str]) -> Running {
        self.start_worker_on("job1", run, args)
    }

    /// The same on another queue.
    pub fn start_worker_on(&self, queue: &str, run: &str, args: &[&str]) -> Running {
        let url = self.broker_url("amqp", &self.broker_address());
        let mut command = Command::new(worker());
        command.env("BROKER_URL", url).env("QUEUE", queue).env("WORKQUEUE_RUN", run);
        Running::start(command.args(args))
    }

    /// Drains the queue with a worker on this machine; the program is a shell script.
    pub fn work(&self, run: &str, program: &str) -> Outcome {
        let flags = ["--drain", "--concurrency", "4", "--retries", "1", "--backoff", "10ms"];
        self.start_worker(run, &[&flags[..], &["--", "sh", "-c", program]].concat()).finish()
    }
}
