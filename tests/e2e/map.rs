//! Items in, outputs out: `map`, and `run --outputs`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, Outcome, Running, Sandbox, run_with_input, seed_worker, worker_image};

/// Prints an item's square, and the item's bytes as they are.
const SQUARE: &str = "read n; printf '%s \\377 %s\\n' $((n * n)) \"$n\"; echo log of $n >&2";

fn numbers(last: u32) -> String {
    (1..=last).map(|number| format!("{number}\n")).collect()
}

/// A command over a program in the cluster.
fn with_worker<'a>(image: &'a str, head: &[&'a str], flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let workers = ["--image", image, "--worker-image", worker_image()];
    [head, &workers, flags, &["--", "/bin/sh", "-c", script]].concat()
}

/// A release whose state on this machine is its own.
struct Home {
    bed: Bed,
    files: Sandbox,
    image: String,
}

impl Home {
    fn new(name: &str) -> Self {
        Self { bed: Bed::with_release(name), files: Sandbox::new(), image: seed_worker() }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.bed.command(args);
        command.env("XDG_STATE_HOME", self.files.path("state"));
        command
    }

    fn map(&self, flags: &[&str], script: &str, input: &str) -> Outcome {
        let args = with_worker(&self.image, &["map"], flags, script);
        run_with_input(&mut self.command(&args), input.as_bytes())
    }

    fn start(&self, flags: &[&str], script: &str, input: &str) -> Running {
        let args = with_worker(&self.image, &["map"], flags, script);
        Running::start_with_input(&mut self.command(&args), input.as_bytes())
    }

    /// The same, and nobody reads what is printed.
    fn start_unread(&self, flags: &[&str], script: &str, input: &str) -> (Running, Sender<()>) {
        let args = with_worker(&self.image, &["map"], flags, script);
        Running::start_unread(&mut self.command(&args), input.as_bytes())
    }

    fn attach(&self, run: &str) -> Outcome {
        workqueue_test_support::run(&mut self.command(&["map", "--attach", run]))
    }

    /// The only run there is.
    fn run(&self) -> String {
        let status = self.bed.workqueue(&["status", "-o", "json"]).ok().json();
        status["runs"][0]["run"].as_str().expect("a run").to_owned()
    }

    fn queues(&self) -> String {
        self.bed.rabbitmqctl(&["list_queues", "--silent", "name"]).stdout
    }
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn outputs_are_those_of_local_and_of_xargs() {
    let home = Home::new("map");
    let input = numbers(200);
    let mapped = home.map(&["-k", "--concurrency", "4"], SQUARE, &input).ok().says("log of 7");
    let mut local = std::process::Command::new(workqueue_test_support::plugin());
    local.args(["local", "-j1", "-f", "-", "--", "/bin/sh", "-c", SQUARE]);
    assert!(mapped.bytes == run_with_input(&mut local, input.as_bytes()).ok().bytes, "local differs");
    let mut xargs = std::process::Command::new("xargs");
    xargs.args(["-I{}", "sh", "-c", "echo {} | (read n; printf '%s \\377 %s\\n' $((n * n)) \"$n\")"]);
    assert!(mapped.bytes == run_with_input(&mut xargs, input.as_bytes()).ok().bytes, "xargs differs");
    // As they come, in other formats; no file stays.
    let json = home.map(&["--format", "jsonl"], "read n; [ $n != 3 ] && echo $n", "1\n2\n3\n").exits(6);
    let mut read: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    read.sort_by_key(|line| line["item"].to_string());
    let shown: Vec<_> = read.iter().map(|line| (line["status"].clone(), line["output"].clone())).collect();
    assert_eq!(
        shown,
        [("done".into(), "1\n".into()), ("done".into(), "2\n".into()), ("failed".into(), "".into())]
    );
    let tagged = home.map(&["--tag"], "cat; echo", "a\nb\n").ok();
    assert_eq!(lines(&tagged.stdout), BTreeSet::from(["a\ta", "b\tb"]));
    assert_eq!(home.map(&[], "cat", "").ok().says("there is nothing to do").stdout, "");
    assert!(!home.queues().contains("outputs") && !home.queues().contains("input"), "{}", home.queues());
    assert!(
        std::fs::read_dir(home.files.path("state/kubectl-workqueue")).expect("it is there").next().is_none()
    );
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn outputs_are_printed_while_the_input_goes_on() {
    let home = Home::new("endless");
    let args = with_worker(&home.image, &["map"], &[], "cat; echo");
    let (more_tx, more_rx) = channel::<()>();
    let mut running = Running::start_fed(&mut home.command(&args), move |mut stdin| {
        stdin.write_all(b"first\n")?;
        more_rx.recv().ok();
        stdin.write_all(b"second\n")
    });
    running.wait_for_output("first\n");
    // The workers find nothing, and stay.
    std::thread::sleep(Duration::from_secs(5));
    more_tx.send(()).expect("it reads");
    let ended = running.finish().ok().says("each item is accounted for");
    assert_eq!(ended.stdout, "first\nsecond\n");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_map_that_was_stopped_is_continued_and_prints_nothing_twice() {
    let home = Home::new("stopped");
    let slow = "read n; sleep 0.1; echo item $n";
    for (signal, order) in [("-TERM", &["-k"][..]), ("-INT", &[]), ("-KILL", &[])] {
        let mut running = home.start(&[order, &["--concurrency", "2"]].concat(), slow, &numbers(100));
        running.wait_for_output("item 10\n");
        running.signal(signal);
        let stopped = running.finish();
        let run = home.run();
        // What waits for its turn lies on this machine only, and keeps its order without -k.
        let rest = home.attach(&run).ok();
        let all = stopped.stdout.clone() + &rest.stdout;
        let expected: Vec<String> = (1..=100).map(|number| format!("item {number}")).collect();
        let mut printed: Vec<&str> = all.lines().collect();
        if order.is_empty() {
            printed.sort_by_key(|line| line[5..].parse::<u32>().expect("a number"));
        }
        if signal == "-KILL" {
            assert!(printed.len() <= 101, "{all}");
            if printed.len() > 100 {
                assert!(rest.stderr.contains("comes again, and may be there twice"), "{}", rest.stderr);
            }
            printed.dedup();
        } else {
            stopped.exits(130).says(&format!("map --attach {run}"));
        }
        assert_eq!(printed, expected, "{signal}");
        home.bed.workqueue(&["delete", &run, "--yes"]).ok();
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_input_whose_reader_was_killed_is_not_called_complete() {
    let home = Home::new("cut-input");
    let args = with_worker(&home.image, &["map"], &[], "cat; echo");
    let mut running = Running::start_fed(&mut home.command(&args), |mut stdin| {
        stdin.write_all(b"first\n")?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    });
    running.wait_for_output("first\n");
    running.kill();
    let run = home.run();
    let attached = home.attach(&run).exits(3).says("was killed before its end");
    home.bed.workqueue(&["attach", &run]).exits(3).says("was killed before its end");
    // It may have been killed before it had noted what it had just printed.
    if !attached.stdout.is_empty() {
        assert_eq!(attached.says("comes again, and may be there twice").stdout, "first\n");
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_input_that_was_left_with_ctrl_c_is_not_called_complete() {
    let home = Home::new("left-input");
    let args = with_worker(&home.image, &["map"], &[], "cat; echo");
    let (more_tx, more_rx) = channel::<()>();
    let mut running = Running::start_fed(&mut home.command(&args), move |mut stdin| {
        stdin.write_all(b"first\n")?;
        more_rx.recv().ok();
        Ok(())
    });
    running.wait_for_output("first\n");
    running.signal("-INT");
    running.wait_for("the input was read up to item 1, and no further");
    drop(more_tx);
    running.finish().exits(130);
    let run = home.run();
    let stopped = "its reading was stopped after 1 item";
    home.bed.workqueue(&["attach", &run]).exits(3).says(stopped);
    assert_eq!(home.attach(&run).exits(3).says(stopped).stdout, "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn outputs_are_read_after_the_pods_are_gone_and_a_cut_one_is_named() {
    let home = Home::new("outputs");
    let items: String = (1..=20).map(|_| "1048576\n").chain(["3145728\n"]).collect();
    let print = "read n; yes \"$WORKQUEUE_ITEM_ID\" | head -c $n";
    let args = with_worker(&home.image, &["run", "-f", "-"], &["--outputs"], print);
    let cut = run_with_input(&mut home.command(&args), items.as_bytes()).exits(8).says("1 output is cut");
    assert!(!cut.stdout.contains("\n1048576"), "what is kept is not logged");
    let run = home.run();
    home.bed.kubectl(&["delete", "jobs", "--all"]).ok();
    let out = home.files.path("out");
    let read = ["results", "--outputs", out.to_str().expect("text")];
    let again = home.bed.workqueue(&read).exits(8).says("21 outputs, 22020096 bytes");
    home.bed.workqueue(&[&read[..], &["--remove"]].concat()).exits(8).says("21 outputs");
    assert!(again.stderr.contains(".21)"), "{}", again.stderr);
    for file in std::fs::read_dir(&out).expect("it is there").flatten() {
        let name = file.file_name().into_string().expect("text");
        let expected: Vec<u8> = format!("{name}\n").bytes().cycle().take(1 << 20).collect();
        assert!(std::fs::read(file.path()).expect("readable") == expected, "{name}");
    }
    let empty = home.bed.workqueue(&["results", "--outputs", "-"]).ok();
    assert_eq!(empty.says("21 done items have no output here").stdout, "");
    home.bed.workqueue(&["delete", &run, "--yes"]).ok();
    home.bed.workqueue(&["results", "--outputs", "-"]).exits(1).says("there are no outputs of a run");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_without_room_holds_the_workers_back_until_somebody_collects() {
    let home = Home::new("room");
    let items: String = (1..=30).map(|_| "100000\n").collect();
    let print = "read n; yes \"$WORKQUEUE_ITEM_ID\" | head -c $n";
    let small = ["--outputs", "--set", "worker.outputs.size=1500k"];
    let args = with_worker(&home.image, &["run", "-f", "-"], &small, print);
    let mut running = Running::start_with_input(&mut home.command(&args), items.as_bytes());
    running.wait_for("the broker has no room for more outputs");
    let out = home.files.path("out");
    let collect = ["results", "--outputs", out.to_str().expect("text"), "--remove"];
    let deadline = Instant::now() + Duration::from_secs(120);
    while !running.has_ended() {
        assert!(Instant::now() < deadline, "the workers do not go on");
        home.bed.workqueue(&collect).ok();
    }
    running.finish().ok().says("each item is accounted for");
    home.bed.workqueue(&collect).ok();
    let files: Vec<u64> = std::fs::read_dir(&out)
        .expect("it is there")
        .map(|file| file.expect("readable").metadata().expect("readable").len())
        .collect();
    assert_eq!(files, [100_000; 30]);
    let refused =
        with_worker(&home.image, &["run", "x"], &["--outputs", "--set", "worker.outputs.size=5Gi"], "cat");
    home.bed.workqueue(&refused).exits(1).says("does not fit into half of the broker's volume");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_that_is_replaced_meanwhile_loses_no_output_and_repeats_none() {
    let home = Home::new("replaced");
    let slow = "read n; sleep 0.2; echo item $n";
    let mut running = home.start(&["-k", "--concurrency", "2"], slow, &numbers(150));
    running.wait_for_output("item 10\n");
    home.bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false"]).ok();
    let ended = running.finish().ok().says("each item is accounted for");
    let expected: String = (1..=150).map(|number| format!("item {number}\n")).collect();
    assert_eq!(ended.stdout, expected);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_reader_that_has_stopped_holds_up_neither_ctrl_c_nor_what_is_said() {
    let home = Home::new("unread");
    // More than a pipe holds.
    let print = "read n; printf '%01000d\n' $n; echo log of $n >&2";
    let (mut running, may_read) = home.start_unread(&["--concurrency", "4"], print, &numbers(300));
    // The run goes on to its end meanwhile.
    running.wait_for("log of 300");
    home.bed.kubectl(&["wait", "--for=condition=complete", "jobs", "--all", "--timeout=120s"]).ok();
    running.signal("-INT");
    running.wait_for_end();
    may_read.send(()).expect("the test reads");
    let stopped = running.finish().exits(130).says("was being printed, and nobody has read it to its end");
    assert!(stopped.stdout.len() < 1001 * 300);
    let rest = home.attach(&home.run()).ok().says("each item is accounted for");
    let all = stopped.stdout + &rest.stdout;
    let mut printed: Vec<&str> = all.lines().collect();
    printed.sort_unstable();
    let expected: Vec<String> = (1..=300).map(|number| format!("{number:01000}")).collect();
    assert!(printed == expected, "{} lines", printed.len());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_somebody_has_purged_do_not_hold_up_the_input() {
    let home = Home::new("purged");
    // Few are done before they are purged, however slow this machine is.
    let held = "read n; [ $n -gt 20 ] || sleep 15; echo $n";
    let flags = ["--read-ahead", "10", "--parallelism", "1"];
    let args = with_worker(&home.image, &["map"], &flags, held);
    let (purged_tx, purged_rx) = channel::<()>();
    let mut running = Running::start_fed(&mut home.command(&args), move |mut stdin| {
        stdin.write_all(numbers(100).as_bytes())?;
        purged_rx.recv().ok();
        stdin.write_all(b"101\n102\n")
    });
    running.wait_for("works on the items of queue");
    home.bed.workqueue(&["purge", "--yes"]).ok();
    purged_tx.send(()).expect("it is fed");
    running.wait_for_output("102\n");
    let ended = running.finish();
    assert!(ended.fed, "all of the input was read");
    let printed = ended.stdout.lines().count();
    assert!(printed < 90, "{printed} were printed, so hardly any were purged");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_map_that_was_killed_is_attached_from_another_home() {
    let home = Home::new("elsewhere");
    let slow = "read n; sleep 0.1; echo item $n";
    let mut running = home.start(&["--concurrency", "2"], slow, &numbers(60));
    running.wait_for_output("item 10\n");
    running.signal("-KILL");
    let killed = running.finish();
    let run = home.run();
    let mut attach = home.command(&["map", "--attach", &run]);
    attach.env("XDG_STATE_HOME", home.files.path("elsewhere"));
    let rest = workqueue_test_support::run(&mut attach).exits(7).says("was collected elsewhere, or is gone");
    let all = killed.stdout.clone() + &rest.stdout;
    let expected: BTreeSet<String> = (1..=60).map(|number| format!("item {number}")).collect();
    assert_eq!(lines(&all), expected.iter().map(String::as_str).collect());
    assert!(all.lines().count() <= 61, "the last one at most may be there twice: {all}");
    // Where it was started, nobody knows what became of the rest.
    assert_eq!(home.attach(&run).exits(7).says("somebody else has taken it").stdout, "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_home_that_cannot_be_written_is_said_before_anything_starts() {
    let home = Home::new("read-only");
    let map = |flags: &[&str]| {
        let args = with_worker(&home.image, &["map", "-k"], flags, "cat; echo");
        // Nobody can write there, not even root.
        let mut command = home.bed.command(&args);
        command.env_remove("XDG_STATE_HOME").env("HOME", "/proc/self");
        run_with_input(&mut command, numbers(20).as_bytes())
    };
    map(&[])
        .exits(1)
        .says("how far outputs are printed cannot be saved in /proc/self/")
        .says("--no-position");
    assert_eq!(home.bed.names("jobs"), "");
    assert_eq!(map(&["--no-position"]).ok().says("is not saved").stdout, numbers(20));
}
