//! What a queue holds: shown, copied, emptied, expired, or refused on the way in.

use std::time::{Duration, Instant};

use serde_json::Value;
use workqueue_test_support::{Bed, numbers};

/// Takes the bodies of all messages out of a queue.
fn bodies(bed: &Bed, queue: &str) -> Vec<Vec<u8>> {
    bed.drain(queue).into_iter().map(|(_, body)| body).collect()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn what_the_broker_refuses_is_counted_and_the_rest_goes_on() {
    let bed = Bed::new("refused");
    bed.up(&["--set", "broker.extraConfig=max_message_size = 1000"]).ok();
    let large = "x".repeat(2000);
    let items = format!("apple\n{large}\nbanana\n{large}\ncherry\n");
    let refused = bed
        .workqueue_with_input(&["enqueue", "-o", "json", "-f", "-"], items.as_bytes())
        .exits(3)
        .says("refused 2 items, the first at stdin:2")
        .json();
    assert_eq!(
        (&refused["read"], &refused["confirmed"], &refused["refused"]),
        (&5.into(), &3.into(), &2.into())
    );
    let bodies = bodies(&bed, "job1");
    for fruit in ["apple", "banana", "cherry"] {
        assert!(bodies.contains(&fruit.as_bytes().to_vec()), "{fruit} is missing");
    }
    assert!(bodies.iter().all(|body| body.len() < 1000));

    // A queue with room for 10.
    bed.rabbitmqctl(&["set_policy", "limit", "^job1$", r#"{"max-length": 10}"#, "--apply-to", "queues"]);
    let full = bed
        .workqueue_with_input(&["enqueue", "-o", "json", "-f", "-"], numbers(500))
        .exits(3)
        .says("the queue accepts no more items");
    let report = full.json();
    let count = |key: &str| report[key].as_u64().expect("a number");
    assert_eq!(count("confirmed") + count("refused"), 500, "{report}");
    assert_eq!(bed.drain("job1").len() as u64, count("confirmed"), "{report}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_carry_headers_and_a_time_to_live() {
    let bed = Bed::with_release("envelope");
    let json = br#"["plain", {"a": 1}]"#;
    let dry = bed.workqueue_with_input(&["enqueue", "--json", "--dry-run", "-f", "-"], json).ok();
    assert_eq!(dry.stdout, "stdin:1 (element 1)\tplain\nstdin:1 (element 2)\t{\\\"a\\\":1}\n");
    let args = ["enqueue", "--json", "--header", "source=test", "--ttl", "1s", "-f", "-"];
    bed.workqueue_with_input(&args, json).ok().says("2 items read, 2 confirmed");
    // Expired ones are dead-lettered, which shows the time to live; the headers come along.
    let deadline = Instant::now() + Duration::from_secs(30);
    while bed.messages("job1.failed") < 2 {
        assert!(Instant::now() < deadline, "the items do not expire");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(bodies(&bed, "job1.failed"), [b"plain".to_vec(), b"{\"a\":1}".to_vec()]);
    let json = bed.workqueue(&["peek", "--queue", "job1.failed", "-o", "json"]).ok().json();
    for item in json["items"].as_array().expect("a list") {
        assert_eq!(item["headers"]["source"], "test", "{json}");
    }
}

/// On both brokers: they count deliveries differently.
fn a_queue_is_looked_into_copied_and_emptied(bed: &Bed) {
    bed.up(&[]).ok();
    bed.workqueue_with_input(&["enqueue", "--header", "k=v", "-f", "-"], b"apple\n\xff\nbanana\n").ok();
    let list = bed.workqueue(&["queues"]).ok().stdout;
    assert!(list.lines().any(|line| line.split_whitespace().eq(["job1", "3", "0"])), "{list}");

    let peeked = bed.workqueue(&["peek", "-c", "2"]).ok().stdout;
    assert!(peeked.contains("\tapple  k=v\n") && peeked.contains("\t\\xff  k=v\n"), "{peeked}");
    let json = bed.workqueue(&["peek", "-o", "json"]).ok().json();
    assert_eq!(
        (&json["items"][1]["bodyBase64"], &json["items"][2]["body"]),
        (&"/w==".into(), &"banana".into()),
        "{json}"
    );
    let dumped = bed.workqueue(&["dump", "-o", "json"]).ok().stdout;
    assert_eq!(dumped.lines().count(), 3);
    // Two looks before this one, each of which counts once.
    for line in dumped.lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        // RabbitMQ counts in it what was put back as well, and gives it another name from 4.3 on.
        let headers = &message["headers"];
        let count = headers.get("x-acquired-count").unwrap_or(&headers["x-delivery-count"]);
        assert_eq!(count, "2", "{message}");
    }
    // Nothing is gone, and the order is what it was.
    assert_eq!(bed.messages("job1"), 3);
    assert_eq!(bodies(bed, "job1"), [b"apple".to_vec(), b"\xff".to_vec(), b"banana".to_vec()]);

    // More than a quorum queue keeps in order by itself.
    let numbers = |from: u32, to: u32| (from..=to).map(|number| format!("{number:04}\n")).collect::<String>();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], numbers(1, 400).as_bytes()).ok();
    for _ in 0..2 {
        assert!(bed.workqueue(&["dump"]).ok().stdout == numbers(1, 400), "all of it, in its order");
    }
    // More than are in flight at once.
    bed.workqueue_with_input(&["enqueue", "-f", "-"], numbers(401, 2000).as_bytes()).ok();
    let dumped = bed.workqueue(&["dump"]).ok().stdout;
    let mut lines: Vec<&str> = dumped.lines().collect();
    lines.sort_unstable();
    assert!(lines.join("\n") + "\n" == numbers(1, 2000), "all of it, and nothing twice");
    bed.workqueue(&["purge"]).exits(1).says("--yes");
    bed.workqueue(&["purge", "--yes"]).ok().says("job1: 2000 items deleted");
    assert_eq!(bed.messages("job1"), 0);
    bed.workqueue(&["peek"]).ok().says("queue job1 is empty");
    bed.workqueue(&["peek", "--queue", "nonesuch"]).exits(1).says("there is no queue nonesuch");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_is_looked_into_copied_and_emptied_on_the_new_broker() {
    a_queue_is_looked_into_copied_and_emptied(&Bed::new("look"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_is_looked_into_copied_and_emptied_on_the_old_broker() {
    a_queue_is_looked_into_copied_and_emptied(&Bed::with_old_broker("look-old"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_whose_leader_does_not_answer_is_not_taken_for_empty() {
    let bed = Bed::with_release("leader");
    bed.enqueue_numbers(100);
    let each_leader = |call: &str, arguments: &str| {
        for queue in ["job1", "job1.failed"] {
            let call = format!("{call}(list_to_atom(\"%2F_{queue}\"){arguments}).");
            bed.rabbitmqctl(&["eval", &call]).ok();
        }
    };
    each_leader("sys:suspend", ", 10000");
    let commands: [&[&str]; 8] = [
        &["status"],
        &["queues"],
        &["peek"],
        &["dump"],
        &["purge", "--yes"],
        &["failed", "list"],
        &["failed", "retry", "--all"],
        &["run", "--image", "x:1", "--detach"],
    ];
    let running = commands.map(|command| bed.start(command));
    for (command, run) in commands.iter().zip(running) {
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(1), "{command:?}: {outcome}");
        outcome.says("has not answered for 10 s");
    }
    bed.workqueue(&["down"]).exits(1).says("the broker cannot be asked what is in its queues");
    each_leader("sys:resume", "");
    assert_eq!(bed.messages("job1"), 100);
    bed.workqueue(&["failed", "list"]).ok().says("there are no failed items");
}
