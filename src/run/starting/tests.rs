//! What is said and judged of pods on their way.

use super::*;
use serde_json::{Value, json};

const ABSENT: &str = "manifest for a/b:1 not found: manifest unknown: manifest unknown";
const REFUSED: &str = "dial tcp 127.0.0.1:5999: connect: connection refused";

fn pod(name: &str, state: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]},
        "status": {"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "a/b:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}]},
    }))
    .expect("a pod")
}

fn waiting(name: &str, reason: &str, message: &str) -> Pod {
    pod(name, json!({"waiting": {"reason": reason, "message": message}}))
}

fn job(parallelism: u32, active: u32) -> JobState {
    let [name, run] = ["w-r1", "r1"].map(str::to_owned);
    JobState { name, run, completions: Some(parallelism), parallelism, active, ..JobState::default() }
}

fn warning(kind: &str, name: &str, reason: &str, message: &str) -> ObjectWarning {
    let [kind, name, reason, message] = [kind, name, reason, message].map(str::to_owned);
    ObjectWarning { kind, name, uid: String::new(), reason, message }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_run_is_ended_once_all_its_pods_wait_in_vain() {
    let (start, run) = (Instant::now(), job(2, 2));
    let mut starting = Starting::default();
    starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start);
    assert_eq!(starting.in_vain(&run, start + PATIENCE), None, "the second pod may come further");
    starting.take(&waiting("w-r1-b", "ErrImagePull", ABSENT), start + seconds(5));
    starting
        .take(&waiting("w-r1-a", "ImagePullBackOff", "Back-off pulling image \"a/b:1\""), start + seconds(9));
    assert_eq!(starting.in_vain(&run, start + PATIENCE), None, "the second gets its full time too");
    let reason = starting.in_vain(&run, start + seconds(5) + PATIENCE).expect("both are in vain");
    assert_eq!(reason, format!("pod w-r1-a: ErrImagePull: {ABSENT}"));
    starting.restart(start + seconds(30));
    assert_eq!(starting.in_vain(&run, start + seconds(60)), None, "the server was away");
}

#[test]
fn a_registry_that_does_not_answer_is_waited_for() {
    let (start, run) = (Instant::now(), job(1, 1));
    let mut starting = Starting::default();
    starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start);
    starting.take(&waiting("w-r1-a", "ErrImagePull", REFUSED), start + seconds(20));
    assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
    starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start + seconds(100));
    assert_eq!(starting.in_vain(&run, start + seconds(139)), None, "the patience starts again");
    assert!(starting.in_vain(&run, start + seconds(140)).is_some());
}

#[test]
fn a_run_that_has_started_is_never_ended() {
    let (start, run) = (Instant::now(), job(1, 1));
    let mut starting = Starting::default();
    starting.take(&pod("w-r1-a", json!({"running": {}})), start);
    starting.take(&waiting("w-r1-b", "ErrImagePull", ABSENT), start);
    assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
    assert!(starting.has_started() && !starting.lines(start)[0].is_definite);
}

#[test]
fn an_event_tells_what_a_back_off_hides() {
    let (start, run) = (Instant::now(), job(1, 1));
    let mut starting = Starting::default();
    starting.take(&waiting("w-r1-a", "ImagePullBackOff", "Back-off pulling image \"a/b:1\""), start);
    assert_eq!(starting.in_vain(&run, start + seconds(4000)), None, "nobody knows why");
    let failed = warning("Pod", "w-r1-a", "Failed", &format!("Failed to pull image \"a/b:1\": {ABSENT}"));
    starting.warned(failed, &run, start);
    assert!(starting.in_vain(&run, start + PATIENCE).is_some());
    let failed = warning("Pod", "w-r1-a", "Failed", &format!("Failed to pull image \"a/b:1\": {REFUSED}"));
    starting.warned(failed, &run, start + PATIENCE);
    assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
    assert_eq!(starting.lines(start + PATIENCE)[0].why(), format!("ErrImagePull: {REFUSED}"));
}

#[test]
fn a_reason_is_said_soon_and_then_every_minute() {
    let (start, run) = (Instant::now(), job(3, 3));
    let mut starting = Starting::default();
    starting.take(&waiting("w-r1-a", "CreateContainerConfigError", "secret \"s\" not found"), start);
    starting.take(&waiting("w-r1-b", "CreateContainerConfigError", "secret \"s\" not found"), start);
    let mut said = Vec::new();
    for second in 0..130 {
        let due = starting.due(&run, start + seconds(second));
        said.extend(due.into_iter().map(|line| (second, line.pods, line.waited.as_secs())));
    }
    assert_eq!(said, [(5, 2, 5), (65, 2, 65), (125, 2, 125)]);
    starting.take(&pod("w-r1-c", json!({"running": {}})), start + seconds(130));
    assert_eq!(starting.due(&run, start + seconds(190)), [], "others work");
    assert_eq!(starting.due(&run, start + seconds(725)).len(), 1);
}

#[test]
fn a_volume_that_is_late_is_said_until_the_pod_comes_further() {
    let (start, run) = (Instant::now(), job(1, 1));
    let mut starting = Starting::default();
    let failed = warning("Pod", "w-r1-a", "FailedMount", "configmap \"nope\" not found");
    // The warning may come before the pod.
    starting.warned(failed.clone(), &run, start);
    assert_eq!(starting.lines(start), []);
    starting.take(&waiting("w-r1-a", "ContainerCreating", ""), start);
    let line = &starting.due(&run, start + seconds(5))[0];
    assert_eq!(line.why(), "FailedMount: configmap \"nope\" not found");
    assert_eq!(line.next_command(), "kubectl describe pod w-r1-a");
    assert_eq!(starting.due(&run, start + EVENT_HOLDS), [], "it may be pulling its image");
    starting.warned(failed, &run, start + EVENT_HOLDS);
    starting.take(&pod("w-r1-a", json!({"running": {}})), start + EVENT_HOLDS);
    assert_eq!(starting.lines(start + EVENT_HOLDS), []);
    let other = warning("Pod", "other-a", "FailedMount", "");
    starting.warned(other, &run, start);
    assert!(starting.pods.is_empty(), "it is not the run's");
}

#[test]
fn a_job_that_cannot_create_pods_is_said_with_the_next_command() {
    let start = Instant::now();
    let mut starting = Starting::default();
    let quota = "Error creating: pods \"w-r1-x\" is forbidden: exceeded quota: q, requested: pods=1";
    starting.warned(warning("Job", "w-r1", "FailedCreate", quota), &job(2, 1), start);
    starting.warned(warning("Job", "other", "FailedCreate", quota), &job(2, 1), start);
    let line = &starting.due(&job(2, 1), start + SAID_AFTER)[0];
    assert_eq!((line.pods, line.object.as_str()), (0, "w-r1"));
    assert_eq!(line.next_command(), "kubectl describe quota");
    assert_eq!(starting.due(&job(2, 2), start + seconds(100)), [], "the pods are there");
    assert_eq!(starting.lines(start), []);
}
