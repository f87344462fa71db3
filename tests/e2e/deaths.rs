//! An item that takes whole containers down must not use up the run.

use workqueue_test_support::{Bed, Sandbox, ended_with, kubectl, run};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_item_that_ends_its_containers_is_named_and_the_run_goes_on() {
    let bed = Bed::with_release("poison");
    // Process 1 of a container cannot be killed from inside. In a chart whose pods share their processes
    // the worker is another one, and its end is the container's.
    let files = Sandbox::new();
    let chart = files.path("chart");
    let chart = chart.to_str().expect("text");
    run(kubectl().args(["workqueue", "chart", chart])).ok();
    let job = files.path("chart/templates/worker-job.yaml");
    let template = std::fs::read_to_string(&job).expect("the chart has a Job");
    let pod = "      enableServiceLinks: false\n";
    assert!(template.contains(pod), "the Job looks different");
    let shared = template.replace(pod, &format!("{pod}      shareProcessNamespace: true\n"));
    std::fs::write(&job, shared).expect("writable");

    bed.enqueue_numbers(20);
    let script = "read n; [ $n != 7 ] || kill -9 $PPID; sleep 0.5; [ $n != 7 ]";
    let flags = ["--chart", chart, "--parallelism", "4", "--concurrency", "2", "--retries", "0"];
    bed.run_script(&flags, script).exits(6).says("19 done, 1 failed").says("failed list");
    let records = bed.records(&[]);
    assert_eq!((ended_with("failed", &records), records.len()), (vec![7], 20));
    assert_eq!((&records[&7]["reason"], &records[&7]["attempts"]), (&"deaths".into(), &3.into()));
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 1));

    let list =
        bed.workqueue(&["failed", "list"]).ok().prints("deaths").prints("workers that died with this item:");
    assert_eq!(list.stdout.lines().count(), 2, "{}", list.stdout);
    let item = &bed.workqueue(&["failed", "list", "-o", "json"]).ok().json()["items"][0];
    bed.workqueue(&["failed", "show", item["id"].as_str().expect("an id")])
        .ok()
        .prints("Reason:        deaths");
    // A retried item starts at zero again.
    bed.workqueue(&["failed", "retry", "--all"]).ok();
    bed.run_script(&[], "cat").ok().says("1 done");
}
