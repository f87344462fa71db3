//! What becomes of items and of the queue that holds them.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use workqueue_test_support::{Bed, Outcome, Running, seed_worker};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_queue_is_made_to_lose_nothing() {
    let bed = Bed::with_release("queue");
    // Bytes of every kind, the last line without a newline; NUL-terminated ones next.
    bed.workqueue_with_input(&["enqueue", "-f", "-"], b"apple\n\xff\xfe\x00binary\na b\tc")
        .ok()
        .says("3 items read, 3 confirmed");
    bed.workqueue_with_input(&["enqueue", "-0", "-f", "-"], b"two\nlines\0x\0")
        .ok()
        .says("2 items read, 2 confirmed");
    assert_eq!(bed.messages("job1"), 5);

    let queues = bed.rabbitmqctl_list(&["list_queues", "name", "type", "durable", "arguments"]);
    let queue =
        |name: &str| queues.as_array().expect("a list").iter().find(|row| row["name"] == name).cloned();
    let items = queue("job1").expect("it exists");
    let arguments = items["arguments"].to_string();
    assert_eq!((items["type"].as_str(), items["durable"].as_bool()), (Some("quorum"), Some(true)), "{items}");
    for expected in ["x-delivery-limit", "job1.failed", "at-least-once", "reject-publish"] {
        assert!(arguments.contains(expected), "{expected} is not in {arguments}");
    }
    let failed = queue("job1.failed").expect("it exists");
    assert_eq!(failed["type"], "quorum");

    // Each byte arrives: od shows them, whatever they are.
    let run = bed
        .workqueue(&[
            "run",
            "--amqp-consume",
            "--image",
            &seed_worker(),
            "--",
            "/bin/sh",
            "-c",
            "od -An -c | tr -s ' '",
        ])
        .ok();
    for shown in ["a p p l e", "377 376 \\0 b i n a r y", "a b \\t c", "t w o \\n l i n e s", "x"] {
        assert!(
            run.stdout.lines().any(|line| line.ends_with(&format!(" {shown}"))),
            "{shown:?} is not in:\n{}",
            run.stdout
        );
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_that_others_made_is_used_as_it_is() {
    let bed = Bed::with_release("foreign");
    let script = "amqp-declare-queue --url=$BROKER_URL -q job1 -d";
    let url = format!("BROKER_URL={}", bed.broker_url("amqp", "workqueue-broker"));
    let image = format!("--image={}", seed_worker());
    let pod = ["run", "seed", &image, "--restart=Never", "--attach", "--env", &url];
    bed.kubectl(&[&pod[..], &["--command", "--", "/bin/sh", "-c", script]].concat()).ok();

    bed.workqueue(&["enqueue", "apple"]).ok().says("was created with other arguments and is used as it is");
    let queues = bed.rabbitmqctl_list(&["list_queues", "name", "type"]).to_string();
    assert!(queues.contains("classic"), "{queues}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn kept_data_is_found_again() {
    let bed = Bed::with_release("keep");
    bed.workqueue(&["enqueue", "apple", "banana"]).ok();
    bed.workqueue(&["down"]).exits(1).says("--yes");
    assert_eq!(bed.messages("job1"), 2);

    bed.workqueue(&["down", "--yes", "--keep-data"])
        .ok()
        .says("queue job1 holds 2 items that no run has finished: they will be kept");
    let left = bed.names("statefulsets,persistentvolumeclaims");
    assert_eq!(left.trim(), "persistentvolumeclaim/data-workqueue-broker-0");
    bed.up(&[]).ok();
    assert_eq!(bed.messages("job1"), 2);

    bed.workqueue(&["down", "--yes", "--keep-data"]).ok();
    bed.kubectl(&["delete", "secret", "workqueue-credentials"]).ok();
    // The data's user gets the new password.
    bed.up(&[]).ok();
    assert_eq!(bed.messages("job1"), 2);

    bed.workqueue(&["down", "--yes"])
        .ok()
        .says("queue job1 holds 2 items that no run has finished: they will be lost");
    assert_eq!(bed.names("persistentvolumeclaims"), "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn bad_input_is_named_and_the_count_is_exact() {
    let bed = Bed::with_release("input");
    bed.workqueue_with_input(&["enqueue", "-f", "-", "--blank-lines", "refuse"], b"a\nb\n\nc\n")
        .exits(3)
        .says("error: stdin:3: the item is empty")
        .says("job1: 2 items read, 2 confirmed");
    assert_eq!(bed.messages("job1"), 2);
    bed.workqueue(&["enqueue", "good", ""]).exits(3).says("error: argument 2: the item is empty");
    bed.workqueue_with_input(&["enqueue", "--max-item-size", "4", "-f", "-"], b"1234\n12345\n")
        .exits(3)
        .says("error: stdin:2: the item is larger than 4 bytes");
    assert_eq!(bed.messages("job1"), 3, "arguments are checked before anything is sent");
    bed.workqueue_with_input(&["enqueue", "-f", "-"], b"\xef\xbb\xbfd\n\ne\n")
        .ok()
        .says("job1: 2 items read, 2 confirmed, 1 blank line skipped");
    bed.workqueue_with_input(&["enqueue", "-f", "-", "--blank-lines", "keep"], b"\n")
        .ok()
        .says("1 item read, 1 confirmed");
    let all = bed.workqueue(&["peek", "-o", "json"]).ok().json();
    let bodies: Vec<&str> =
        all["items"].as_array().expect("a list").iter().filter_map(|item| item["body"].as_str()).collect();
    assert_eq!(bodies, ["a", "b", "1234", "d", "e", ""]);
    bed.workqueue_with_input(&["enqueue", "-f", "-"], b"BZh91AY&SY\x01")
        .exits(3)
        .says("error: stdin: it is compressed with bzip2");
    assert_eq!(bed.messages("job1"), 6);
    bed.workqueue(&["enqueue", "-f", "/nonexistent"]).exits(3).says("error: cannot open /nonexistent");
    bed.workqueue(&["enqueue", "--queue", "amq.x", "a"]).exits(2).says("belong to the broker");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_item_over_the_brokers_limit_is_refused_by_name() {
    let bed = Bed::new("large");
    bed.up(&["--set", "broker.extraConfig=max_message_size = 1000"]).ok();
    let input = [b"small\n".to_vec(), vec![b'x'; 2000], b"\nafter\n".to_vec()].concat();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], &input).exits(3).says("stdin:2");
    // The broker closes the channel over it: what it had not confirmed by then is sent again.
    assert!((2..=3).contains(&bed.messages("job1")), "the rest goes on");
}

/// A command on a terminal of its own, which `script` makes, and what is typed there once the text appears.
fn on_terminal(bed: &Bed, args: &[&str], text: &str, typed: &'static str) -> Outcome {
    let plain = bed.command(args);
    let words = [plain.get_program()].into_iter().chain(plain.get_args()).map(|word| word.to_string_lossy());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (asked_tx, asked_rx) = std::sync::mpsc::channel::<()>();
    let (ended_tx, ended_rx) = std::sync::mpsc::channel::<()>();
    let mut running = Running::start_fed(&mut script, move |mut stdin| {
        asked_rx.recv().ok();
        stdin.write_all(typed.as_bytes())?;
        // `script` hangs up once its input ends.
        ended_rx.recv().ok();
        Ok(())
    });
    running.wait_for_output(text);
    // Time for what would overwrite the question.
    std::thread::sleep(Duration::from_secs(1));
    asked_tx.send(()).expect("it waits");
    while !running.has_ended() {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(ended_tx);
    running.finish()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_question_of_down_stays_on_the_terminal_until_it_is_answered() {
    let bed = Bed::with_release("prompt");
    bed.workqueue(&["enqueue", "apple"]).ok();
    let asked = on_terminal(&bed, &["down"], "? [y/N] ", "n\n");
    let (before, after) = asked.stdout.split_once("? [y/N] ").expect("it asks");
    assert!(before.contains("\u{1b}[") && before.contains("queue job1 holds 1 item"), "{before:?}");
    let after = after.replace('\r', "");
    assert_eq!(after, "n\nnothing was deleted\n", "the question is erased");
    assert_eq!(bed.messages("job1"), 1);
    let agreed = on_terminal(&bed, &["down"], "? [y/N] ", "y\n").ok();
    assert!(agreed.stdout.contains("? [y/N] y\r\n"), "{:?}", agreed.stdout);
    assert_eq!(bed.names("statefulsets"), "");
}
