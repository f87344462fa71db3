//! What a run promises of every item when programs, items and pods do their worst. Items are counted
//! one by one, from their records: an item's id ends in its number.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, ended_with, ids, number, registry, worker_image};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_thousand_items_end_as_their_programs_do() {
    const BAD: [usize; 5] = [7, 210, 421, 637, 999];
    let bed = Bed::with_release("thousand");
    bed.enqueue_numbers(1000);
    // One in ten attempts fails at random, and five items always do.
    let script = "read n; case $n in 7|210|421|637|999) echo never $n >&2; exit 3;; esac; \
                  [ $(od -An -N1 -tu1 /dev/urandom) -gt 25 ]";
    let flags = ["--parallelism", "2", "--concurrency", "8", "--retries", "9", "--backoff", "10ms..100ms"];
    bed.run_script(&flags, script).exits(6).says("995 done, 5 failed").says("failed list");
    let first = bed.records(&[]);
    assert_eq!(ended_with("failed", &first), BAD);
    assert_eq!((first.len(), ended_with("done", &first).len()), (1000, 995));
    let repeated = ended_with("done", &first).iter().filter(|number| first[number]["attempts"] != 1).count();
    assert!((50..200).contains(&repeated), "{repeated} items were tried again");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 5));

    let list = bed.workqueue(&["failed", "list", "-o", "json"]).ok().json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(BAD.len()), "{list}");
    for item in list["items"].as_array().expect("a list") {
        let said = format!("never {}", number(item));
        assert_eq!(item["stderrTail"], format!("{said}\n"), "{item}");
        assert_eq!((&item["exit"], &item["attempts"]), (&3.into(), &10.into()), "{item}");
        let shown = bed.workqueue(&["failed", "show", item["id"].as_str().expect("an id")]).ok();
        shown.prints(&format!("Stderr:\n  {said}\n"));
    }
    let set_aside = ids(&list);

    // The program is repaired: the five are done, and with them all thousand.
    bed.workqueue(&["failed", "retry", "--all"]).ok().says("5 items are back in the queue");
    bed.run_script(&flags, "read n; echo repaired $n").ok().says("is complete: 5 done");
    let done = bed.workqueue(&["results", "--status", "done", "-o", "json"]).ok().json();
    assert!(ids(&done).is_superset(&set_aside));
    assert_eq!(ids(&done).len(), 1000);
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn hostile_programs_and_items_harm_only_themselves() {
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
    let outcome = bed.run_script(&flags, script).exits(6).says("4 done, 2 failed");
    let zeros = "0".repeat(999);
    let flood = outcome.stdout.lines().filter(|line| line.ends_with(&zeros)).count();
    assert_eq!(flood, 100_000, "lines of the 100 MB are missing in the logs");

    let records = bed.records(&[]);
    assert_eq!(
        (ended_with("done", &records), ended_with("failed", &records)),
        (vec![3, 4, 5, 6], vec![1, 2])
    );
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
        let detached = bed.run_script(&["--parallelism", pods, "--detach", "-o", "json"], "sleep 3; cat");
        let name = detached.ok().json()["run"].as_str().expect("a name").to_owned();
        bed.workqueue(&["purge", "--yes"]).ok().says(&format!("job1: {pods} items deleted"));
        if let Some(item) = last {
            bed.workqueue(&["enqueue", item]).ok();
        }
        // What was purged is missing from the books.
        let attached = bed.workqueue(&["attach", &name, "-o", "json"]).exits(7).json();
        let waited = started.elapsed();
        assert_eq!(attached["pods"]["succeeded"].to_string(), pods, "{attached}");
        assert_eq!(attached["outcome"]["missing"].to_string(), pods, "{attached}");
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
    let mut child = bed.start_script(&["--parallelism", "2"], "cat");
    // Ever later after the item before, until one comes when the workers have left or are about to.
    let (mut sent, mut pause) = (1, Duration::from_millis(1500));
    while !child.has_ended() {
        bed.workqueue(&["enqueue", &format!("item-{sent}")]).ok();
        sent += 1;
        std::thread::sleep(pause);
        pause += Duration::from_millis(250);
    }
    let outcome = child.finish();
    let left = bed.messages("job1");
    println!("{sent} items, {left} left, exit {:?}: {}", outcome.code, outcome.stderr);
    let done = || -> BTreeSet<String> {
        let all = bed.workqueue(&["results", "-o", "json"]).ok().json();
        let records = all["records"].as_array().expect("a list").iter();
        records.map(|record| record["stdout"]["tail"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(done().len() as u64 + left, sent, "an item is neither done nor left");
    if outcome.code == Some(6) {
        outcome.says("in queue job1: enqueued meanwhile").says("run it again without items");
    } else {
        outcome.ok();
        assert!(left <= 1, "the run did not see what was left");
    }
    if left > 0 {
        bed.run_script(&[], "cat").ok();
    }
    assert_eq!(done(), (0..sent).map(|number| format!("item-{number}")).collect());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_worker_is_copied_from_an_image_into_any_other() {
    let bed = Bed::new("images");
    bed.up(&["--set", &format!("worker.inject.image={}", worker_image())]).ok();
    let image = |name: &str| format!("{}/{name}", registry());
    // The image with only the worker is an empty one with a static program in it.
    for (image, program, says) in [
        (worker_image().to_owned(), &["/workqueue-worker", "--version"][..], "workqueue-worker "),
        (image("debian:bookworm-slim"), &["cat"], "apple"),
        (image("busybox:latest"), &["cat"], "apple"),
    ] {
        let head = ["run", "--image", &image, "--inject", "apple", "--"];
        let outcome = bed.workqueue(&[&head, program].concat()).ok().says("is complete: 1 done");
        outcome.prints(&format!(" {says}"));
    }
}
