//! What programs say themselves: a line at their start and one at their end, in files on a volume that
//! the tool knows nothing of. A pod of the test reads them, and kills containers from their node.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workqueue_test_support::{Bed, Outcome, kubectl, registry, run, run_with_input};

/// The group of the workers, which may write on the volume.
const GROUP: u32 = 65532;

/// Nothing that is waited for takes longer.
const LONGEST: Duration = Duration::from_secs(180);

/// The pod that reads the volume.
#[derive(Clone)]
pub struct Witness {
    namespace: String,
}

/// The starts and ends of one item's programs.
#[derive(Default)]
pub struct Runs {
    pub starts: u64,
    pub ends: u64,
    /// The pods in which it was started.
    pub pods: Vec<String>,
}

impl Witness {
    /// Makes the volume and the pod that reads it.
    pub fn new(bed: &Bed) -> Self {
        let witness = Self { namespace: bed.namespace.clone() };
        witness.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [volume(), reader()]}));
        bed.kubectl(&["wait", "--for=condition=Ready", "pod/witness", "--timeout=90s"]).ok();
        witness
    }

    /// Values with which the workers of a release write on the volume.
    pub fn values() -> Value {
        json!({"worker": {
            "volumes": [{"name": "witness", "persistentVolumeClaim": {"claimName": "witness"}}],
            "volumeMounts": [{"name": "witness", "mountPath": "/witness"}],
            "podSecurityContext": {"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"},
        }})
    }

    /// A shell script for one item: `work` between the two lines. Each process has a file of its own,
    /// so that what two of them write does not mix.
    pub fn program(work: &str) -> String {
        format!(
            "set -e; w=/witness/${{HOSTNAME:?}}.$$; echo \"START $WORKQUEUE_ITEM_ID\" >>$w; \
             {work}; echo \"END $WORKQUEUE_ITEM_ID\" >>$w"
        )
    }

    pub fn apply(&self, manifest: &Value) {
        let mut command = self.kubectl(&["apply", "-f", "-"]);
        run_with_input(&mut command, manifest.to_string().as_bytes()).ok();
    }

    /// All that was written so far, by item.
    pub fn runs(&self) -> BTreeMap<String, Runs> {
        let mut runs: BTreeMap<String, Runs> = BTreeMap::new();
        for line in self.shell("find /witness -type f -name '*.*' -exec grep -H . {} +").ok().stdout.lines() {
            let (file, said) = line.split_once(':').expect("grep names the file");
            let (word, id) = said.split_once(' ').expect("a word and an id");
            let item = runs.entry(id.to_owned()).or_default();
            match word {
                "START" => {
                    let name = file.trim_start_matches("/witness/");
                    item.pods.push(name.rsplit_once('.').map_or(name, |(pod, _)| pod).to_owned());
                    item.starts += 1;
                }
                "END" => item.ends += 1,
                other => panic!("{other:?} in {file}"),
            }
        }
        runs
    }

    /// Waits until the programs of so many items have ended.
    #[track_caller]
    pub fn until_ended(&self, wanted: usize) {
        let deadline = Instant::now() + LONGEST;
        loop {
            let ended = self.runs().values().filter(|item| item.ends > 0).count();
            if ended >= wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{ended} of {wanted} programs have ended");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Kills the worker's container of a pod from its node, as the machine's own memory killer does:
    /// every process in its control group, whose name has the container's id with all runtimes.
    /// `false` if there is none, as before it has started.
    pub fn kill_container(&self, pod: &str) -> bool {
        let id = "jsonpath={.status.containerStatuses[0].containerID}";
        let found = run(&mut self.kubectl(&["get", "pod", pod, "-o", id])).stdout;
        let Some((_, id)) = found.split_once("://") else { return false };
        let kill = format!(
            "pids=$(grep -l {id} /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3); \
             [ -n \"$pids\" ] || exit 1; kill -9 $pids; true"
        );
        // It is no failure that some of the processes have ended meanwhile.
        self.shell(&kill).code == Some(0)
    }

    /// Runs a shell script in the pod that reads the volume.
    pub fn shell(&self, script: &str) -> Outcome {
        run(&mut self.kubectl(&["exec", "witness", "--", "sh", "-c", script]))
    }

    fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = kubectl();
        command.args(["--namespace", &self.namespace]).args(args);
        command
    }
}

fn volume() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "witness"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn reader() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "witness"},
        "spec": {
            // To see, and to kill, the processes of other pods.
            "hostPID": true,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"},
            "containers": [{
                "name": "witness",
                "image": format!("{}/busybox:latest", registry()),
                "command": ["sleep", "86400"],
                "volumeMounts": [{"name": "witness", "mountPath": "/witness"}],
            }],
            "volumes": [{"name": "witness", "persistentVolumeClaim": {"claimName": "witness"}}],
        },
    })
}
