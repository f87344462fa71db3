//! Logs of a run's pods: which lines, and in which form.

use serde_json::Value;

use workqueue_test_support::{Bed, seed_worker, worker_image};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn logs_are_selected_by_pod_container_time_and_text() {
    let bed = Bed::with_release("logs");
    let image = seed_worker();
    // The first item ends at once, and the second when its pod is told to.
    let program = "read item; for i in 1 2 3; do echo \"$item $i\"; done; \
                   [ $item = first ] || until [ -e /tmp/go ]; do sleep 0.2; done";
    let run = ["run", "--detach", "-o", "json", "--image", &image, "--parallelism", "1", "--worker-image"];
    let started = [&run[..], &[worker_image(), "first", "second", "--", "sh", "-c", program]].concat();
    let run = bed.workqueue(&started).ok().json()["run"].as_str().expect("a name").to_owned();
    let mut follower = bed.start(&["logs", "-f"]);
    follower.wait_for_output("second 3");

    let logs = |flags: &[&str]| bed.workqueue(&[&["logs", &run], flags].concat()).ok().stdout;
    let texts = |flags: &[&str]| -> Vec<String> {
        let output = logs(flags);
        output.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    };
    assert_eq!(texts(&["--include", "^(first|second)"]).len(), 6);
    assert_eq!(texts(&["--tail", "1"]), ["second 3"]);
    assert_eq!(texts(&["-i", "^first", "-i", "^second", "-e", "[12]$"]), ["first 3", "second 3"]);
    assert_eq!(texts(&["--pod", "no-such-pod"]), [""; 0]);
    assert_eq!(texts(&["--since", "1h", "--include", "first 1"]), ["first 1"]);
    bed.workqueue(&["logs", "--include", "("]).exits(2);

    // An init container brings the worker.
    let said = texts(&["--container", "."]);
    assert!(said.iter().any(|line| line.starts_with("worker second 3")), "{said:?}");
    assert!(texts(&["--container", "no-such-container"]).is_empty());

    let stamped = &texts(&["--timestamps", "--include", "first 1"])[0];
    let (time, text) = stamped.split_once(' ').expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{stamped}");
    assert_eq!(text, "first 1");
    let line: Value =
        serde_json::from_str(&logs(&["-o", "json", "--include", "first 1"])).expect("a document");
    assert_eq!((&line["message"], &line["container"]), (&"first 1".into(), &"worker".into()), "{line}");
    assert_eq!(line["time"].as_str(), Some(time), "{line}");

    // New lines only.
    let mut attached = bed.start(&["attach", &run, "--tail", "0"]);
    attached.wait_for("1 pod running");
    let pod = line["pod"].as_str().expect("a name");
    bed.kubectl(&["exec", pod, "-c", "worker", "--", "touch", "/tmp/go"]).ok();
    let ended = attached.finish().ok();
    assert!(!ended.stdout.contains("second"), "{}", ended.stdout);
    follower.finish().ok();
}
