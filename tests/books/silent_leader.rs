//! A quorum queue whose leader is there and does not answer, for a while or forever: nobody takes the
//! queue for empty. Each command waits and says for what, goes on when the leader answers, or fails.

use std::time::{Duration, Instant};

use serde_json::Value;
use workqueue_test_support::{Bed, Outcome, Running, numbers};

use crate::balance::append;

const ITEMS: usize = 20;
const FAILED: usize = 3;

/// A silence that is shorter than this needs no word.
const NAMED: Duration = Duration::from_secs(10);

/// What has to be said of a leader that is silent for longer.
const WORDS: [&str; 3] = ["answer", "cannot be asked", "waiting for the broker"];

/// A command that looks into a queue of its own, so that all of them can do so at once.
struct Look {
    name: &'static str,
    args: &'static [&'static str],
    /// Whether it saw what is in the queue.
    right: fn(&Outcome) -> bool,
}

/// `--queue` is the name.
const LOOKS: [Look; 9] = [
    Look {
        name: "run",
        args: &["run", "--image", "x:1", "--detach", "-o", "json"],
        right: |run| run.code == Some(0) && run.json()["itemsAtStart"] == ITEMS,
    },
    Look {
        name: "status",
        args: &["status", "-o", "json"],
        right: |run| run.code == Some(0) && ready(&run.json(), "status") == Some(ITEMS as u64),
    },
    Look {
        name: "queues",
        args: &["queues", "-o", "json"],
        right: |run| run.code == Some(0) && ready(&run.json(), "queues") == Some(ITEMS as u64),
    },
    Look {
        name: "peek",
        args: &["peek", "-c", "20"],
        right: |run| run.code == Some(0) && run.stdout.lines().count() >= ITEMS,
    },
    Look {
        name: "dump",
        args: &["dump"],
        right: |run| run.code == Some(0) && run.stdout.lines().count() == ITEMS,
    },
    Look {
        name: "purge",
        args: &["purge", "--yes"],
        right: |run| run.code == Some(0) && run.stderr.contains("20 items deleted"),
    },
    Look {
        name: "down",
        args: &["down"],
        right: |run| run.code == Some(1) && run.stderr.contains("queue down holds 20 items"),
    },
    Look {
        name: "failed-list",
        args: &["failed", "list", "-o", "json"],
        right: |run| run.code == Some(0) && run.json()["items"].as_array().map(Vec::len) == Some(FAILED),
    },
    Look {
        name: "failed-retry",
        args: &["failed", "retry", "--all", "-o", "json"],
        right: |run| run.code == Some(0) && run.json()["retried"] == FAILED,
    },
];

/// Workers on this machine, whose program prints its item.
const WORKERS: [(&str, &[&str]); 2] = [("drain", &["--drain"]), ("halt", &["--halt", "soon,fail=5"])];

/// Queues of runs that are attached to: one that has ended and was not judged, and one that goes on.
const RUNS: [&str; 2] = ["attach-ended", "attach"];

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_leader_that_is_silent_for_5_seconds_is_waited_for() {
    a_silent_leader(Some(Duration::from_secs(5)));
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_leader_that_stays_silent_is_no_empty_queue() {
    a_silent_leader(None);
}

/// All commands at once, under leaders that are silent for some time, or forever.
pub fn a_silent_leader(silence: Option<Duration>) {
    let bed = Bed::with_release("silent");
    let runs = fill(&bed);
    let name = silence.map_or("forever".to_owned(), |silence| format!("for {} s", silence.as_secs()));
    each_leader(&bed, "sys:suspend", ", 10000");
    let begun = Instant::now();
    let mut running: Vec<(&str, Running)> = Vec::new();
    for look in &LOOKS {
        // Flags that belong to the last word of a command stand behind all of them.
        running.push((look.name, bed.start(&[look.args, &["--queue", look.name]].concat())));
    }
    for (queue, flags) in WORKERS {
        let program = ["--", "sh", "-c", "echo ran $(cat)"];
        running.push((queue, bed.start_worker_on(queue, "one", &[flags, &program].concat())));
    }
    for (name, run) in RUNS.iter().zip(&runs) {
        running.push((name, bed.start(&["attach", run, "-o", "json"])));
    }
    let mut wrong = Vec::new();
    match silence {
        Some(silence) => {
            std::thread::sleep(silence.saturating_sub(begun.elapsed()));
            each_leader(&bed, "sys:resume", "");
            for (command, run) in running {
                note(&name, command, seen(command, &run.finish(), silence > NAMED), &mut wrong);
            }
        }
        None => {
            for (command, run) in running {
                note(&name, command, refused(run, begun + Duration::from_secs(60)), &mut wrong);
            }
            each_leader(&bed, "sys:resume", "");
            let queues = bed.workqueue(&["queues", "-o", "json"]).ok().json();
            for look in LOOKS.iter().filter(|look| !look.name.starts_with("failed")) {
                assert_eq!(ready(&queues, look.name), Some(ITEMS as u64), "{}: {queues}", look.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Fills the queues, and starts the runs that are attached to; their names.
fn fill(bed: &Bed) -> Vec<String> {
    let queues: Vec<&str> = LOOKS.iter().map(|look| look.name).chain(["drain", "halt"]).chain(RUNS).collect();
    let enqueue = |queue: &&str| {
        let count = if queue.starts_with("failed") { FAILED } else { ITEMS };
        let mut command = bed.command(&["enqueue", "--queue", queue, "-f", "-"]);
        Running::start_with_input(&mut command, numbers(count).as_bytes())
    };
    for enqueue in queues.iter().map(enqueue).collect::<Vec<_>>() {
        enqueue.finish().ok();
    }
    let failing = ["--drain", "--", "sh", "-c", "exit 65"];
    let failed = queues.iter().filter(|queue| queue.starts_with("failed"));
    for worker in failed.map(|queue| bed.start_worker_on(queue, "one", &failing)).collect::<Vec<_>>() {
        worker.finish().ok();
    }
    RUNS.iter().map(|queue| start_run(bed, queue)).collect()
}

/// Starts a run that is attached to while the leader is silent; its name.
fn start_run(bed: &Bed, queue: &str) -> String {
    let flags = ["--queue", queue, "--parallelism", "1", "--concurrency", "10", "--detach", "-o", "json"];
    // Two rounds of ten items: some are at work when the leader falls silent.
    let program = if queue == RUNS[0] { "cat" } else { "sleep 15" };
    let run = bed.run_script(&flags, program).ok().json();
    if queue == RUNS[0] {
        let job = format!("job/{}", run["job"].as_str().expect("a name"));
        bed.kubectl(&["wait", "--for=condition=complete", &job, "--timeout=120s"]).ok();
    } else {
        bed.running_workers(1);
    }
    run["run"].as_str().expect("a name").to_owned()
}

/// Suspends or resumes the leaders of all queues with items: the process of each is named after it.
fn each_leader(bed: &Bed, function: &str, arguments: &str) {
    let queues = bed.rabbitmqctl_list(&["list_queues", "name", "type"]);
    let quorum = queues.as_array().expect("a list").iter().filter(|queue| queue["type"] == "quorum");
    let names: Vec<String> = quorum.map(|queue| queue["name"].to_string()).collect();
    assert!(names.len() > LOOKS.len(), "{queues}");
    let call = format!("[{function}(list_to_atom(\"%2F_\" ++ Q){arguments}) || Q <- [{}]].", names.join(","));
    bed.rabbitmqctl(&["eval", &call]);
}

/// What a command made of a silence that has ended: what it saw, or why it failed.
fn seen(command: &str, run: &Outcome, named: bool) -> Result<&'static str, String> {
    let said = WORDS.iter().any(|word| run.stderr.contains(word));
    if right(command, run) {
        return if said || !named { Ok("went on") } else { Err(format!("it waited without a word\n{run}")) };
    }
    if run.code != Some(0) && said { Ok("failed, with its reason") } else { Err(run.to_string()) }
}

/// What a command makes of a silence that does not end: it fails, or it waits, and says why.
fn refused(mut run: Running, deadline: Instant) -> Result<&'static str, String> {
    while !run.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    if !run.has_ended() {
        run.wait_for("answer");
        return Ok("waits, with its reason");
    }
    let run = run.finish();
    let said = WORDS.iter().any(|word| run.stderr.contains(word));
    let refused = run.code != Some(0) && said;
    if refused { Ok("failed, with its reason") } else { Err(run.to_string()) }
}

/// The items that wait in a queue, as `status` or `queues` shows it.
fn ready(report: &Value, queue: &str) -> Option<u64> {
    let queues = report["queues"].as_array().expect("a list");
    queues.iter().find(|row| row["name"] == queue).and_then(|row| row["ready"].as_u64())
}

fn right(command: &str, run: &Outcome) -> bool {
    if let Some(look) = LOOKS.iter().find(|look| look.name == command) {
        return (look.right)(run);
    }
    run.code == Some(0)
        && match command {
            "attach" | "attach-ended" => run.json()["outcome"]["done"] == ITEMS,
            _ => run.stdout.lines().filter(|line| line.contains("ran ")).count() == ITEMS,
        }
}

/// A line of the table, and what is wrong.
fn note(silence: &str, command: &str, end: Result<&'static str, String>, wrong: &mut Vec<String>) {
    let word = match &end {
        Ok(word) => word,
        Err(_) => "WRONG",
    };
    append(&format!("leader silent {silence:<9} {command:<12} {word}\n"));
    if let Err(what) = end {
        wrong.push(format!("{command}, {silence}: {what}"));
    }
}
