//! What a run promises of every item when programs, items, pods, broker and API server do their
//! worst. Items are counted one by one, from their records: an item's id ends in its number.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, finish, spawn, variable};
use crate::results::{failed, ids};
use crate::seeding::api_server;
use crate::worker::{run, running_workers, start, worker_image};

/// Enqueues the numbers from 1 to `count`: each gets itself as the number in its id.
fn enqueue_numbers(bed: &Bed, count: u32) {
    let lines: String = (1..=count).map(|number| format!("{number}\n")).collect();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], lines.as_bytes()).ok();
}

/// The records of a run, or of all runs, by the number of their item.
fn records(bed: &Bed, flags: &[&str]) -> BTreeMap<u32, Value> {
    let all = bed.workqueue(&[&["results", "-o", "json"], flags].concat()).ok().json();
    println!(
        "results {flags:?}: {} done, {} failed, {} superseded",
        all["done"], all["failed"], all["superseded"]
    );
    let records = all["records"].as_array().expect("a list").iter();
    records.map(|record| (number(record), record.clone())).collect()
}

fn number(item: &Value) -> u32 {
    let id = item["id"].as_str().expect("an id");
    id.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{id}"))
}

/// The numbers of the items that ended like this.
fn ended(records: &BTreeMap<u32, Value>, status: &str) -> Vec<u32> {
    let ended = records.iter().filter(|(_, record)| record["status"] == status);
    ended.map(|(number, _)| *number).collect()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_thousand_items_end_as_their_programs_do() {
    const BAD: [u32; 5] = [7, 210, 421, 637, 999];
    let bed = Bed::with_release("thousand");
    enqueue_numbers(&bed, 1000);
    // One in ten attempts fails at random, and five items always do.
    let script = "read n; case $n in 7|210|421|637|999) echo never $n >&2; exit 3;; esac; \
                  [ $(od -An -N1 -tu1 /dev/urandom) -gt 25 ]";
    let flags = ["--parallelism", "2", "--concurrency", "8", "--retries", "9", "--backoff", "10ms..100ms"];
    run(&bed, &flags, script).exits(6).says("995 done, 5 failed").says("failed list");
    let first = records(&bed, &[]);
    assert_eq!(ended(&first, "failed"), BAD);
    assert_eq!((first.len(), ended(&first, "done").len()), (1000, 995));
    let repeated = ended(&first, "done").iter().filter(|number| first[number]["attempts"] != 1).count();
    assert!((50..200).contains(&repeated), "{repeated} items were tried again");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 5));

    let list = failed(&bed, "list", &["-o", "json"]).ok().json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(BAD.len()), "{list}");
    for item in list["items"].as_array().expect("a list") {
        let said = format!("never {}", number(item));
        assert_eq!(item["stderrTail"], format!("{said}\n"), "{item}");
        assert_eq!((&item["exit"], &item["attempts"]), (&3.into(), &10.into()), "{item}");
        let shown = failed(&bed, "show", &[item["id"].as_str().expect("an id")]).ok().stdout;
        assert!(shown.contains(&format!("Stderr:\n  {said}\n")), "{shown}");
    }
    let set_aside = ids(&list);

    // The program is mended: the five are done, and with them all thousand.
    failed(&bed, "retry", &["--all"]).ok().says("5 items are back in the queue");
    run(&bed, &flags, "read n; echo mended $n").ok().says("is complete: 5 done");
    let done = bed.workqueue(&["results", "--status", "done", "-o", "json"]).ok().json();
    assert!(ids(&done).is_superset(&set_aside));
    assert_eq!(ids(&done).len(), 1000);
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
}

/// Kills a pod's container from outside, as the machine's own memory killer does: from inside, the
/// kernel lets no signal through to process 1.
fn kill_container(pod: &str) {
    let label = format!("label=io.kubernetes.pod.name={pod}");
    let worker = "label=io.kubernetes.container.name=worker";
    let list = ["ps", "--quiet", "--filter", &label, "--filter", worker];
    let id = finish(spawn(Command::new("docker"), &list), b"").ok().stdout;
    finish(spawn(Command::new("docker"), &["kill", id.trim()]), b"").ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_ends_although_pods_broker_and_api_server_go() {
    const ITEMS: u32 = 300;
    let bed = Bed::with_release("everything");
    enqueue_numbers(&bed, ITEMS);
    let child = start(&bed, &["--parallelism", "4", "--concurrency", "4"], "read n; sleep 1");
    let pods = running_workers(&bed, 4);
    while bed.messages("job1") > u64::from(ITEMS) - 32 {
        std::thread::sleep(Duration::from_millis(200));
    }
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    kill_container(&pods[1]);
    bed.kubectl(&["delete", "pod", "workqueue-broker-0"]).ok();
    bed.kubectl(&["rollout", "status", "statefulset/workqueue-broker", "--timeout=120s"]).ok();
    let left = bed.messages("job1");
    assert!(left > 50, "{left} items are too few for the next fault");
    api_server("stop");
    std::thread::sleep(Duration::from_secs(20));
    api_server("start");

    let outcome = finish(child, b"").ok().says(&format!("is complete: {ITEMS} done"));
    println!("{}\n{}", outcome.stdout, outcome.stderr);
    let records = records(&bed, &[]);
    assert_eq!(ended(&records, "done"), (1..=ITEMS).collect::<Vec<_>>());
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
    let job = bed.get(&["jobs"])["items"][0]["status"].clone();
    assert_eq!(job["succeeded"], 4, "{job}");

    // What happened is told: of the broker by the workers that lived on, of pods by the run.
    assert!(outcome.stdout.contains("connecting again; running items go on"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("the broker is back: the work goes on"), "{}", outcome.stdout);
    outcome
        .says(&format!("pod {} was deleted before it had ended", pods[0]))
        .says(&format!("pod {} exited with 137", pods[1]))
        .says("the broker cannot be asked")
        .says("the broker answers again")
        .says("the API server does not answer")
        .says("the API server answers again");
    bed.workqueue(&["attach"]).ok().says(&format!("is complete: {ITEMS} done"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn hostile_programs_and_items_harm_themselves_alone() {
    let bed = Bed::with_release("hostile");
    let big = "x".repeat(10 * 1024 * 1024);
    let items = format!(r#"["never ends", "forks", "floods", "{big}", "{big}", "a\u0000b\nc"]"#);
    bed.workqueue_with_input(&["enqueue", "--json", "-f", "-"], items.as_bytes()).ok();
    let script = r#"case ${WORKQUEUE_ITEM_ID##*.} in
        1) sleep 1000 ;;
        2) trap "" TERM; sleep 1000 & sleep 1000 & wait; sleep 1000 ;;
        3) yes $(printf %0999d 0) | head -c 100000000 ;;
        4) exit 0 ;;
        5) wc -c ;;
        6) od -An -c ;;
        esac"#;
    let flags = ["--parallelism", "2", "--concurrency", "3", "--retries", "0", "--item-timeout", "25s"];
    let outcome = run(&bed, &flags, script).exits(6).says("4 done, 2 failed");
    let zeros = "0".repeat(999);
    let flood = outcome.stdout.lines().filter(|line| line.ends_with(&zeros)).count();
    assert_eq!(flood, 100_000, "lines of the 100 MB are missing in the logs");

    let records = records(&bed, &[]);
    assert_eq!((ended(&records, "done"), ended(&records, "failed")), (vec![3, 4, 5, 6], vec![1, 2]));
    for bad in [1, 2] {
        assert_eq!(records[&bad]["reason"], "timeout", "{}", records[&bad]);
    }
    assert_eq!(records[&3]["stdout"]["bytes"], 100_000_000);
    assert_eq!((&records[&4]["size"], &records[&4]["stdout"]["bytes"]), (&big.len().into(), &0.into()));
    assert_eq!(records[&5]["stdout"]["tail"], "10485760\n");
    let characters = records[&6]["stdout"]["tail"].as_str().expect("text");
    assert_eq!(characters.split_whitespace().collect::<Vec<_>>(), ["a", r"\0", "b", r"\n", "c"]);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn more_pods_than_items_wait_for_none() {
    let bed = Bed::with_release("drain");
    // A run makes no more pods than there are items: these go before their pods have started.
    for (pods, last) in [("8", Some("lone")), ("2", None)] {
        let started = Instant::now();
        let lines = "gone\n".repeat(pods.parse().expect("a number"));
        bed.workqueue_with_input(&["enqueue", "-f", "-"], lines.as_bytes()).ok();
        let detached =
            finish(start(&bed, &["--parallelism", pods, "--detach", "-o", "json"], "sleep 3; cat"), b"");
        let name = detached.ok().json()["run"].as_str().expect("a name").to_owned();
        bed.workqueue(&["purge", "--yes"]).ok().says(&format!("job1: {pods} items deleted"));
        if let Some(item) = last {
            bed.workqueue(&["enqueue", item]).ok();
        }
        let attached = bed.workqueue(&["attach", &name, "-o", "json"]).ok().json();
        let waited = started.elapsed();
        assert_eq!(attached["pods"]["succeeded"].to_string(), pods, "{attached}");
        assert_eq!(attached["outcome"]["done"], last.iter().len(), "{attached}");
        let done = bed.workqueue(&["results", "--run", &name, "-o", "json"]).ok().json();
        assert_eq!(done["done"], last.iter().len(), "{done}");
        assert_eq!(bed.messages("job1"), 0);
        println!("{pods} pods, {last:?}: {waited:?}");
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_item_that_comes_while_the_run_ends_is_done_or_left() {
    let bed = Bed::with_release("late");
    bed.workqueue(&["enqueue", "item-0"]).ok();
    let mut child = start(&bed, &["--parallelism", "2"], "cat");
    // Ever later after the item before, until one comes when the workers have left or are about to.
    let (mut sent, mut pause) = (1, Duration::from_millis(1500));
    while child.try_wait().expect("our own child").is_none() {
        bed.workqueue(&["enqueue", &format!("item-{sent}")]).ok();
        sent += 1;
        std::thread::sleep(pause);
        pause += Duration::from_millis(250);
    }
    let outcome = finish(child, b"");
    let left = bed.messages("job1");
    println!("{sent} items, {left} left, exit {:?}: {}", outcome.code, outcome.stderr);
    let done = || -> BTreeSet<String> {
        let all = bed.workqueue(&["results", "-o", "json"]).ok().json();
        let records = all["records"].as_array().expect("a list").iter();
        records.map(|record| record["stdout"]["tail"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(done().len() as u64 + left, sent, "an item is neither done nor left");
    if outcome.code == Some(6) {
        outcome.says("in queue job1: enqueued meanwhile").says("`kubectl workqueue run`");
    } else {
        outcome.ok();
        assert!(left <= 1, "the run did not see what was left");
    }
    if left > 0 {
        run(&bed, &[], "cat").ok();
    }
    assert_eq!(done(), (0..sent).map(|number| format!("item-{number}")).collect());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_worker_is_brought_into_any_image() {
    let bed = Bed::new("images");
    bed.up(&[]).ok();
    let none = ["run", "--image", "x", "--inject", "apple", "--", "cat"];
    bed.workqueue(&none).exits(1).says("no image is named").says("build --worker-only");
    bed.up(&["--set", &format!("worker.inject.image={}", worker_image())]).ok();
    let image = |name: &str| format!("{}/{name}", variable("WORKQUEUE_TEST_REGISTRY"));
    // The image of the worker alone is an empty one with a static program in it.
    for (image, program, says) in [
        (worker_image().to_owned(), &["/workqueue-worker", "--version"][..], "workqueue-worker "),
        (image("debian:bookworm-slim"), &["cat"], "apple"),
        (image("busybox:latest"), &["cat"], "apple"),
    ] {
        let head = ["run", "--image", &image, "--inject", "apple", "--"];
        let outcome = bed.workqueue(&[&head, program].concat()).ok().says("is complete: 1 done");
        assert!(outcome.stdout.contains(&format!(" {says}")), "{image}: {}", outcome.stdout);
    }
}
