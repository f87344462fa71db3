//! A release of before the broker had several users.

use workqueue_test_support::{Bed, kubectl, run_with_input, seed_worker, variable, worker_image};

/// As that version installed it.
const EARLIER: &str = include_str!("earlier/release.yaml");

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_earlier_release_is_upgraded_with_all_its_messages() {
    let bed = Bed::new("earlier");
    let image = variable("WORKQUEUE_TEST_BROKER_IMAGE");
    let manifests = EARLIER.replace("NAMESPACE", &bed.namespace).replace("IMAGE", &image);
    let mut apply = kubectl();
    apply.args(["apply", "--server-side", "--field-manager=kubectl-workqueue", "-f", "-"]);
    run_with_input(&mut apply, manifests.as_bytes()).ok();
    bed.kubectl(&["rollout", "status", "statefulset/workqueue-broker", "--timeout=120s"]).ok();
    bed.enqueue_numbers(10_000);
    let run = |flags: &[&str], program: &[&str]| {
        let head = ["run", "--queue", "other", "--image", &seed_worker(), "--worker-image", worker_image()];
        bed.workqueue(&[&head[..], flags, &["--"], program].concat())
    };
    // Its workers have the only login that there is.
    run(&["--retries=0", "apple"], &["false"]).exits(6);

    let set = "broker.persistence.size=1Gi";
    bed.up(&["--set", set]).ok().prints("secret/workqueue-cookie created");
    let users = bed.rabbitmqctl_list(&["list_users"]).to_string();
    for user in ["workqueue", "workqueue-look", "workqueue-run", "workqueue-workers"] {
        assert!(users.contains(&format!("\"{user}\"")), "{users}");
    }
    assert_eq!(bed.credential("password"), "before-before-before-before");
    bed.assert_numbers(10_000, 0);
    bed.workqueue(&["failed", "retry", "--all", "--queue", "other"]).ok();
    run(&[], &["cat"]).ok().says("is complete: 1 done");
}
