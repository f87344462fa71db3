//! The books of runs: what proves that items are done, and what is said if they do not balance.

use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, Bench, seed_worker};

/// A state that does not come by then does not come.
const LONGEST: Duration = Duration::from_secs(120);

/// The name of the run that started last.
fn last_run(bed: &Bed) -> String {
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    let runs = status["runs"].as_array().expect("a list");
    runs.last().expect("there is one")["run"].as_str().expect("it has a name").to_owned()
}

/// Waits until so many items of the run that started last are done.
fn until_done(bed: &Bed, done: u64) {
    let deadline = Instant::now() + LONGEST;
    loop {
        let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
        let run = status["runs"].as_array().expect("a list").last();
        if run.is_some_and(|run| run["progress"]["done"].as_u64() >= Some(done)) {
            return;
        }
        assert!(Instant::now() < deadline, "it does not come to {done} items: {status}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[tokio::test]
#[ignore = "needs the test bed: run `make e2e`"]
async fn the_report_of_a_run_says_what_proves_it() {
    let bed = Bed::with_release("proof");
    let fine = |items: &[&str]| {
        let report = bed.run_script(&[&["-o", "json"], items].concat(), "cat").ok().json();
        report["outcome"].clone()
    };
    let outcome = fine(&["apple", "banana", "cherry"]);
    assert_eq!((&outcome["proof"], &outcome["done"]), (&"items".into(), &3.into()), "{outcome}");
    assert_eq!((&outcome["repeats"], &outcome["missing"]), (&0.into(), &0.into()), "{outcome}");

    // The tutorial's image keeps no ledger.
    let image = ["run", "--image", &seed_worker(), "-o", "json", "date"];
    let outcome = bed.workqueue(&image).ok().json()["outcome"].clone();
    assert_eq!((&outcome["proof"], &outcome["done"]), (&"counts".into(), &1.into()), "{outcome}");

    // Somebody else's items have no identity.
    let bench = Bench::attach(&bed.broker_url("amqp", &bed.broker_address()), "job1").await;
    bench.publish(Some("order 7"), b"fig").await;
    bench.publish(None, b"grape").await;
    let outcome = fine(&["lemon"]);
    assert_eq!((&outcome["proof"], &outcome["done"]), (&"counts".into(), &3.into()), "{outcome}");

    // Items that another consumer has taken are named once, and are not this run's.
    bed.workqueue(&["enqueue", "melon", "mango"]).ok();
    for _ in 0..2 {
        bench.take("").await.expect("an item");
    }
    let run = bed.run_script(&["papaya"], "cat").ok();
    run.says("2 items were enqueued earlier and not in queue job1 any more").says("1 done (each item");
    let run = bed.run_script(&["quince"], "cat").ok().says("1 done (each item");
    assert!(!run.stderr.contains("enqueued earlier"), "{}", run.stderr);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_are_gone_without_an_outcome_are_named() {
    let bed = Bed::with_release("missing");
    let items: Vec<String> = (1..=40).map(|number| number.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let run = bed.start_script(&[&["-o", "json"], &items[..]].concat(), "sleep 1");
    until_done(&bed, 2);
    let purged = bed.workqueue(&["purge", "--yes", "-o", "json"]).ok().json()["purged"].as_u64();
    let report = run.finish().exits(7).says("its books do not balance").says("during the run");
    let outcome = report.json()["outcome"].clone();
    let purged = purged.expect("a number");
    assert_eq!(
        (outcome["missing"].as_u64(), outcome["purged"].as_u64()),
        (Some(purged), Some(purged)),
        "{outcome}"
    );
    assert_eq!(outcome["done"].as_u64(), Some(40 - purged), "{outcome}");
    assert_eq!(outcome["missingIds"].as_array().map(Vec::len), Some(10), "{outcome}");
    // Whoever asks again gets the same answer.
    bed.workqueue(&["attach"]).exits(7).says("its books do not balance");
    // They are written off.
    bed.run_script(&["apple"], "cat").ok().says("1 done (each item");

    // Without its ledger a run proves nothing, and does not stand in the way of the next one.
    let run = bed.start_script(&items[..10], "sleep 1");
    until_done(&bed, 2);
    bed.rabbitmqctl(&["delete_queue", &format!("job1.ledger.{}", last_run(&bed))]);
    run.finish().exits(7).says("nothing proves what became of its items");
    bed.run_script(&["apple"], "cat").ok().says("1 done (each item");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn runs_are_stopped_deleted_and_forgotten() {
    let bed = Bed::with_release("stop");
    let items: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let followed = bed.start_script(&items, "sleep 1");
    until_done(&bed, 2);
    let run = last_run(&bed);
    let stopped = bed.workqueue(&["stop", &run, "-o", "json"]).ok().says("is stopped").json();
    let (done, left) = (&stopped["outcome"]["done"], &stopped["outcome"]["ready"]);
    assert_eq!(done.as_u64().zip(left.as_u64()).map(|(done, left)| done + left), Some(30), "{stopped}");
    followed.finish().exits(4).says(&format!("run {run} was stopped"));
    bed.workqueue(&["stop", &run]).exits(1).says("has ended");
    bed.workqueue(&["stop", "xxxxx"]).exits(1).says("there is no run");

    // The next run takes the rest, and its books balance. Nobody follows it.
    let detached = bed.run_script(&["--detach", "-o", "json"], "true").ok().json();
    until_done(&bed, left.as_u64().expect("a number"));
    let name = detached["job"].as_str().expect("it has a Job");
    bed.kubectl(&["wait", "--for=condition=complete", "--timeout=120s", &format!("job/{name}")]).ok();
    // The one after it closes its books, and keeps no more old runs than it is told to.
    let limited = ["--set", "worker.runHistoryLimit=1", "apple"];
    bed.run_script(&limited, "cat").ok().says("1 done (each item");
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    let ledgers = status["ledgers"].as_array().expect("a list");
    assert_eq!(ledgers.len(), 2, "the latest, and one before it: {status}");
    assert!(ledgers.iter().all(|ledger| ledger["closed"] == true), "{status}");
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(2), "{status}");

    // What is deleted leaves nothing.
    let last = last_run(&bed);
    bed.workqueue(&["delete", &last]).exits(1).says("standard input is not a terminal").says("--yes");
    bed.workqueue(&["delete", &last, "--yes"]).ok().says("is deleted");
    let queues = bed.rabbitmqctl(&["list_queues", "name"]).stdout;
    assert!(!queues.contains(&last), "{queues}");
    assert!(!bed.names("jobs,pods").contains(&last));
    bed.workqueue(&["delete", &last, "--yes"]).exits(1).says("there is no run");
}
