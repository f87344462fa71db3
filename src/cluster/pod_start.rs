//! How far a pod has come: what it waits for before its program runs, and whether the program could
//! be started at all.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

use super::image_pull::PullFailure;
use super::pod_state::{has_ended, main_status, with_message};

/// What a pod waits for before its main container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodWait {
    /// Kubernetes' word, such as `Unschedulable` or `ErrImagePull`.
    pub reason: String,
    /// Kubernetes' words about it; empty if there are none.
    pub message: String,
    /// The image of the container that waits.
    pub image: Option<String>,
    /// The failure to pull the image; `None` if it is something else, or if the back-off hides it.
    pub pull: Option<PullFailure>,
}

impl PodWait {
    /// Whether the pod waits until its image is pulled again.
    pub fn hides_pull_failure(&self) -> bool {
        self.reason == "ImagePullBackOff" && self.pull.is_none()
    }

    /// Whether waiting is in vain: the image or its program will not appear by itself.
    pub fn is_definite(&self) -> bool {
        self.pull.is_some_and(PullFailure::is_definite) || self.lacks_program()
    }

    /// Whether the image lacks the program. CRI-O notices while it creates the container.
    fn lacks_program(&self) -> bool {
        const WORDS: [&str; 3] = ["executable file", "stat /", "exec: "];
        const ABSENT: [&str; 3] = ["not found", "no such file or directory", "permission denied"];
        let creates = matches!(self.reason.as_str(), "CreateContainerError" | "RunContainerError");
        let message = self.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        creates && says(&WORDS) && says(&ABSENT)
    }
}

/// A container whose program could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// How often in a row, in this pod.
    pub times: u32,
    /// Why, in Kubernetes' words.
    pub reason: String,
    /// Whether the container ran at least its shell or worker, which may have taken an item. Init
    /// containers take none.
    pub ran: bool,
}

/// What a pod waits for; `None` if it has ended, is being deleted, or is on its normal way.
pub fn pod_wait(pod: &Pod) -> Option<PodWait> {
    if pod.metadata.deletion_timestamp.is_some() || has_ended(pod) {
        return None;
    }
    containers(pod).find_map(|status| waiting(pod, status)).or_else(|| unscheduled(pod))
}

fn waiting(pod: &Pod, status: &ContainerStatus) -> Option<PodWait> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone()?;
    if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing" | "CrashLoopBackOff") {
        return None;
    }
    // The status may name the image in another form.
    let spec = pod.spec.as_ref();
    let mut specs =
        spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let image = specs.find(|spec| spec.name == status.name).and_then(|spec| spec.image.clone());
    let image = image.unwrap_or_else(|| status.image.clone());
    let message = waiting.message.as_deref().unwrap_or_default().trim().to_owned();
    let pull = PullFailure::of(&reason, &message, &image);
    Some(PodWait { reason, message, image: Some(image), pull })
}

fn unscheduled(pod: &Pod) -> Option<PodWait> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let condition =
        conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let message = condition.message.as_deref().unwrap_or_default().trim().to_owned();
    Some(PodWait { reason: condition.reason.clone()?, message, image: None, pull: None })
}

/// Whether a pod's main container has run, now or earlier.
pub fn has_started(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Succeeded") || main_status(pod).is_some_and(has_run)
}

fn has_run(status: &ContainerStatus) -> bool {
    let ran = |state: &ContainerState| {
        state.running.is_some() || state.terminated.as_ref().is_some_and(|ended| !could_not_run(ended))
    };
    let states = [&status.state, &status.last_state];
    let known = states.iter().any(|state| state.as_ref().is_some_and(|state| state.terminated.is_some()));
    states.into_iter().flatten().any(ran) || (status.restart_count > 0 && !known)
}

/// Whether a pod's program could not be started; `None` if it could, or if that is not known yet.
pub fn start_failure(pod: &Pod) -> Option<StartFailure> {
    let inits = pod.status.as_ref().map(|status| status.init_container_statuses.iter().flatten().count());
    containers(pod).enumerate().find_map(|(number, status)| {
        // While it runs, nothing is known.
        status.state.as_ref().filter(|state| state.running.is_none())?;
        let ended = [&status.state, &status.last_state].into_iter().flatten();
        let ended = ended.filter_map(|state| state.terminated.as_ref()).next()?;
        let is_foreign = ended.message.as_deref().is_some_and(is_for_another_architecture);
        // 126 and 127 are what a shell answers, and the worker, for a program that it cannot start.
        let failed_later = !could_not_run(ended) && !is_foreign && !matches!(ended.exit_code, 126 | 127);
        if failed_later || ended.message.as_deref().is_some_and(may_pass) {
            return None;
        }
        let is_init = inits.is_some_and(|inits| number < inits);
        let ran = !could_not_run(ended) && !is_foreign && !is_init;
        let reason = match ended.reason.as_deref() {
            Some("Error") | None if is_init => {
                with_message(&format!("exited with {}", ended.exit_code), ended.message.as_deref())?
            }
            // Its message is the end of the log (`terminationMessagePolicy`), the cause in its last line.
            Some("Error") | None => with_message(
                &format!("exited with {}", ended.exit_code),
                ended.message.as_deref().and_then(last_line),
            )?,
            Some(reason) => with_message(reason, ended.message.as_deref())?,
        };
        let reason = if is_init { format!("init container {}: {reason}", status.name) } else { reason };
        let times = u32::try_from(status.restart_count).unwrap_or(0) + 1;
        Some(StartFailure { times, reason, ran })
    })
}

fn last_line(message: &str) -> Option<&str> {
    message.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// Whether a container ended before its program ran: in the words of containerd and CRI-O, and of
/// Docker.
fn could_not_run(ended: &ContainerStateTerminated) -> bool {
    matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun"))
}

/// Whether nothing but the runtime has written a container's log, because the executable is for another
/// architecture: runc up to 1.0 ends with 1 then, and later ones with 255.
fn is_for_another_architecture(log: &str) -> bool {
    let log = log.trim();
    log.lines().count() == 1 && log.contains("exec ") && log.ends_with("exec format error")
}

/// Whether a container failed to start for a reason of its node, and not of its image.
fn may_pass(message: &str) -> bool {
    const WORDS: [&str; 8] = [
        "cannot allocate memory",
        "context canceled",
        "deadline exceeded",
        "device or resource busy",
        "no space left",
        "temporarily unavailable",
        "timed out",
        "too many open files",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

/// The states of all containers, in the order in which they start.
fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    status
        .into_iter()
        .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(phase: &str, state: Value, last: Value, restarts: u32) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]},
            "status": {"phase": phase, "containerStatuses": [{
                "name": "c", "image": "a/b:1", "imageID": "", "ready": false, "restartCount": restarts,
                "state": state, "lastState": last}]},
        }))
        .expect("a pod")
    }

    fn waits(reason: &str, message: &str) -> PodWait {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        pod_wait(&pod("Pending", state, json!({}), 0)).expect("it waits")
    }

    #[test]
    fn only_images_and_programs_that_are_missing_are_definite() {
        assert!(waits("ErrImagePull", "manifest for a/b:1 not found: manifest unknown").is_definite());
        assert!(!waits("ErrImagePull", "dial tcp 10.0.0.1:443: connect: connection refused").is_definite());
        assert!(waits("ImagePullBackOff", "Back-off pulling image \"a/b:1\"").hides_pull_failure());
        assert!(!waits("CreateContainerConfigError", "secret \"nope\" not found").is_definite());
        // CRI-O, with runc and with crun.
        let runc = "container create failed: runc create failed: unable to start container process: exec: \
                    \"/usr/bin/pod\": stat /usr/bin/pod: no such file or directory";
        assert!(waits("CreateContainerError", runc).is_definite());
        let crun =
            "container create failed: executable file `/bin/missing` not found: No such file or directory";
        assert!(waits("CreateContainerError", crun).is_definite());
        assert!(!waits("CreateContainerError", "context deadline exceeded").is_definite());
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(pod_wait(&pod("Pending", creating, json!({}), 0)), None);
    }

    #[test]
    fn a_pod_that_finds_no_node_waits_in_the_schedulers_words() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": {
            "phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]}}))
        .expect("a pod");
        let wait = pod_wait(&pod).expect("it waits");
        assert_eq!((wait.reason.as_str(), wait.is_definite()), ("Unschedulable", false));
        assert_eq!(wait.message, "0/1 nodes are available: 1 Insufficient cpu.");
    }

    #[test]
    fn a_container_that_could_not_run_has_not_started() {
        const MISSING: &str = "exec: \"/bin/missing\": stat /bin/missing: no such file or directory: unknown";
        let ended = |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason, "message": MISSING}});
        // Docker, then containerd.
        for (code, reason) in [(127, "ContainerCannotRun"), (128, "StartError")] {
            let failed = pod("Failed", ended(code, reason), json!({}), 0);
            assert!(!has_started(&failed));
            let failure = start_failure(&failed).expect("it could not start");
            assert_eq!((failure.times, failure.ran), (1, false));
            assert_eq!(failure.reason, format!("{reason}: {MISSING}"));
            // The restart policy OnFailure starts it again in the same pod.
            let waiting = json!({"waiting": {"reason": "RunContainerError", "message": MISSING}});
            let again = pod("Running", waiting, ended(code, reason), 2);
            assert!(!has_started(&again));
            assert_eq!(start_failure(&again).map(|failure| failure.times), Some(3));
        }
    }

    #[test]
    fn a_node_that_is_short_of_something_says_nothing_about_the_program() {
        let ended = json!({"terminated": {"exitCode": 128, "reason": "StartError",
            "message": "failed to create shim task: mkdir /run/x: no space left on device: unknown"}});
        let failed = pod("Failed", ended, json!({}), 0);
        assert_eq!((has_started(&failed), start_failure(&failed)), (false, None));
    }

    #[test]
    fn a_shell_that_does_not_find_its_program_has_run() {
        let ended = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Error"}});
        let failed = |code| pod("Failed", ended(code), json!({}), 0);
        let failure = start_failure(&failed(127)).expect("it could not start");
        assert_eq!((failure.reason.as_str(), failure.ran), ("exited with 127", true));
        assert!(has_started(&failed(127)));
        let with_log = json!({"terminated": {"exitCode": 127, "reason": "Error",
            "message": "connected\nworkqueue-worker: error: cannot start /bin/missing: No such file\n"}});
        let failure = start_failure(&pod("Failed", with_log, json!({}), 0)).expect("it could not start");
        assert_eq!(
            failure.reason,
            "exited with 127: workqueue-worker: error: cannot start /bin/missing: No such file"
        );
        assert_eq!(start_failure(&failed(3)), None);
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        assert_eq!(start_failure(&pod("Running", running, ended(127), 1)), None);
    }

    #[test]
    fn an_executable_for_another_architecture_could_not_start() {
        let ended = |code: i32, log: &str| json!({"terminated": {"exitCode": code, "reason": "Error", "message": log}});
        let old = "standard_init_linux.go:228: exec user process caused: exec format error\n";
        for (code, log) in [(1, old), (255, "exec /bin/sh: exec format error\n")] {
            let failed = pod("Failed", ended(code, log), json!({}), 0);
            assert_eq!(start_failure(&failed).map(|failure| failure.ran), Some(false), "{log}");
        }
        let later = "item 7: started\n/data/tool: exec format error\n";
        assert_eq!(start_failure(&pod("Failed", ended(1, later), json!({}), 0)), None);
    }

    #[test]
    fn what_an_init_container_said_is_told_and_took_no_item() {
        let ended = json!({"terminated": {"exitCode": 126, "reason": "Error", "message": "no worker\n"}});
        let status = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let waiting = json!({"waiting": {"reason": "PodInitializing"}});
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Failed",
                "initContainerStatuses": [status("i", ended)], "containerStatuses": [status("c", waiting)]}}))
        .expect("a pod");
        let failure = start_failure(&pod).expect("it could not start");
        assert_eq!(
            (failure.reason.as_str(), failure.ran),
            ("init container i: exited with 126: no worker", false)
        );
    }

    #[test]
    fn a_pod_that_ended_without_its_container_has_not_started() {
        let evicted: Pod = serde_json::from_value(json!({"metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Failed", "reason": "Evicted"}}))
        .expect("a pod");
        assert!(!has_started(&evicted));
        assert_eq!(start_failure(&evicted), None);
    }
}
