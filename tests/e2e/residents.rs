//! Programs that stay, on a cluster: an image in AWS Lambda's layout, whose entry point nobody names.

use std::process::Command;
use std::sync::OnceLock;

use workqueue_test_support::{
    Bed, Outcome, Sandbox, awslambdaric, ended_with, kubectl, registry, root, run, seed_worker, worker_image,
};

/// The Python of the image below: that of Debian 12.
const PYTHON: &str = "3.11";

/// An image with a handler and AWS's client for Python, in the engine's store and in the registry.
fn lambda_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let (files, name) = (Sandbox::new(), format!("{}/lambda:e2e", registry()));
        let dockerfile = format!(
            "FROM {}\nWORKDIR /var/task\nCOPY site /opt/python\nCOPY app.py .\nENV PYTHONPATH=/opt/python\n\
             ENTRYPOINT [\"python3\", \"-m\", \"awslambdaric\"]\nCMD [\"app.handler\"]\n",
            seed_worker()
        );
        files.file("Dockerfile", dockerfile);
        let app = std::fs::read(root().join("tests/runtime/app.py")).expect("it is there");
        let directory = files.file("app.py", app).parent().expect("the sandbox").to_owned();
        run(Command::new("cp").arg("-r").arg(awslambdaric(Some(PYTHON))).arg(directory.join("site"))).ok();
        let directory = directory.to_str().expect("text");
        // Pinned to its digest: a node may have an earlier one.
        let build = ["build", directory, "--image", &name, "--push"];
        run(kubectl().arg("workqueue").args(build)).ok().stdout.trim().to_owned()
    })
}

/// `run` with the image's own entry point, and the worker from an image.
fn arguments(flags: &[&str]) -> Vec<String> {
    let head = ["run", "--image", lambda_image(), "--worker-image", worker_image(), "--runtime-api"];
    head.iter().chain(flags).map(|word| (*word).to_owned()).collect()
}

fn run_lambda(bed: &Bed, flags: &[&str]) -> Outcome {
    let arguments = arguments(flags);
    bed.workqueue(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_thousand_items_end_as_a_lambda_image_does() {
    let bed = Bed::with_release("lambda");
    bed.enqueue_numbers(1000);
    let flags =
        ["--parallelism", "2", "--concurrency", "2", "--retries", "0", "--item-timeout", "5s", "--outputs"];
    run_lambda(&bed, &flags).exits(6).says("993 done, 7 failed");
    let records = bed.records(&[]);
    assert_eq!(ended_with("failed", &records), [100, 250, 300, 500, 700, 750, 900]);
    assert_eq!((records.len(), ended_with("done", &records).len()), (1000, 993));
    for number in [100, 300, 500, 700, 900] {
        assert_eq!(records[&number]["reason"], "error", "{}", records[&number]);
        let said = records[&number]["stderr"]["tail"].as_str().expect("text");
        assert!(said.ends_with(&format!("ValueError: bad {number}\n")), "{said}");
    }
    assert_eq!((&records[&250]["reason"], &records[&750]["signal"]), (&"timeout".into(), &9.into()));
    assert_eq!(records[&1]["stdout"]["tail"], "1");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 7));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn programs_that_stay_lose_no_item_although_pods_and_broker_go() {
    let bed = Bed::with_release("resident");
    bed.enqueue_numbers(99);
    let settings = ["--set", "worker.env[0].name=WORK_SECONDS", "--set-string", "worker.env[0].value=1"];
    let flags = [&["--parallelism", "3", "--concurrency", "2"][..], &settings].concat();
    let arguments = arguments(&flags);
    let child = bed.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let pods = bed.running_workers(3);
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false"]).ok();
    child.finish().ok().says("is complete: 99 done");
    let records = bed.records(&[]);
    assert_eq!((records.len(), ended_with("done", &records).len()), (99, 99));
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
}
