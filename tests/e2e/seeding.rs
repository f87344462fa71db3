//! Seeding: nothing is lost on the way into the queue, whatever breaks.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, Outcome, finish, spawn};
use crate::drain::drain;
use crate::worker::run;

/// An `enqueue` that is fed and watched while it runs.
struct Enqueue {
    child: Child,
    lines_rx: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Enqueue {
    /// Starts it with the numbers from 1 on as items, at most `rate` a second. What it did not
    /// take while the broker was away is not made up for, so that items are left for each fault.
    fn numbers(bed: &Bed, more: &[&str], count: usize, rate: usize) -> Self {
        let mut child = bed.spawn(&[&["enqueue", "-o", "json", "-f", "-"], more].concat());
        let mut stdin = child.stdin.take().expect("piped");
        std::thread::spawn(move || {
            let tenth = rate / 10;
            for start in (0..count).step_by(tenth) {
                std::thread::sleep(Duration::from_millis(100));
                let text: String =
                    (start..count.min(start + tenth)).map(|number| format!("{}\n", number + 1)).collect();
                if stdin.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (lines_tx, lines_rx) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines_tx.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines_rx, seen: Vec::new() }
    }

    /// Waits for a line on stderr that contains a text.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while let Ok(line) = self.lines_rx.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
            if self.seen.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
        panic!("{text:?} was not said:\n{}", self.seen.join("\n"));
    }

    /// Waits for its end.
    #[track_caller]
    fn finish(mut self) -> Outcome {
        let stdout = self.child.stdout.take().expect("piped");
        let text = std::io::read_to_string(stdout).expect("a pipe");
        let code = self.child.wait().expect("our own child").code();
        self.seen.extend(self.lines_rx.iter());
        Outcome { code, stdout: text, stderr: self.seen.join("\n") }
    }
}

/// Every number is in the queue, and no more of them are there twice than the report admits.
fn assert_all_there(bed: &Bed, count: usize, report: &Value) {
    assert_eq!(report["confirmed"], count, "{report}");
    let admitted = report["republished"].as_u64().expect("a number") as usize;
    assert_numbers(bed, count, admitted);
}

/// The numbers from 1 to `count` are in the queue, and at most `admitted` of them a second time,
/// under the same id.
fn assert_numbers(bed: &Bed, count: usize, admitted: usize) {
    let messages = drain(bed, "job1");
    let mut bodies: HashMap<&[u8], usize> = HashMap::new();
    let mut ids: HashMap<&str, &[u8]> = HashMap::new();
    for (id, body) in &messages {
        *bodies.entry(body).or_default() += 1;
        assert_eq!(*ids.entry(id).or_insert(body), body, "an id stands for one item");
    }
    let missing = (1..=count).filter(|number| !bodies.contains_key(number.to_string().as_bytes())).count();
    assert_eq!((missing, bodies.len()), (0, count), "missing items");
    let duplicates = messages.len() - count;
    assert!(duplicates <= admitted, "{duplicates} duplicates, but {admitted} admitted");
    println!("{count} items, {duplicates} duplicates, {admitted} admitted");
}

/// Stops or starts the API server. Tests that do have `api_server` in their names: they run alone.
pub fn api_server(action: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/apiserver");
    finish(spawn(Command::new(script), &[action]), b"").ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn nothing_is_lost_while_broker_and_api_server_restart() {
    const ITEMS: usize = 200_000;
    let bed = Bed::with_release("heal");
    let mut enqueue = Enqueue::numbers(&bed, &[], ITEMS, 4000);
    enqueue.wait_for("items confirmed");
    for grace in ["0", "5"] {
        bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false", "--grace-period", grace]).ok();
        enqueue.wait_for("connecting again");
        enqueue.wait_for("connected again");
        std::thread::sleep(Duration::from_secs(2));
    }
    api_server("stop");
    enqueue.wait_for("connecting again");
    api_server("start");
    enqueue.wait_for("connected again");
    let outcome = enqueue.finish().ok();
    assert_all_there(&bed, ITEMS, &outcome.json());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_enqueue_that_was_stopped_is_resumed() {
    const ITEMS: usize = 400_000;
    let bed = Bed::with_release("resume");
    let path = std::env::temp_dir().join(format!("{}.items", bed.namespace));
    let lines: String = (1..=ITEMS).map(|number| format!("{number}\n")).collect();
    std::fs::write(&path, lines).expect("writable");
    let file = path.display().to_string();
    let args = ["enqueue", "-o", "json", "-f", &file];
    bed.workqueue(&[&args[..], &["--resume"]].concat()).exits(1).says("nothing to resume");

    let stop = |more: &[&str], signal: &str| {
        let mut child = bed.spawn(&[&args[..], more].concat());
        // Kept to the end: a command whose stderr is closed dies of it.
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let started = lines.next().expect("a line").expect("text");
        assert!(started.contains("items confirmed"), "{started}");
        std::thread::sleep(Duration::from_millis(500));
        let pid = child.id().to_string();
        finish(spawn(Command::new("kill"), &[signal, &pid]), b"").ok();
        let output = child.wait_with_output().expect("our own child");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    // Ctrl-C: what is confirmed is known exactly.
    let (code, report) = stop(&[], "-INT");
    assert_eq!(code, Some(130), "{report}");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let confirmed = report["confirmed"].as_u64().expect("a number");
    assert!(confirmed > 0 && confirmed < ITEMS as u64, "{report}");
    assert_eq!(bed.messages("job1"), confirmed);
    // A crash: at most a window is repeated.
    let (code, _) = stop(&["--resume"], "-KILL");
    assert_eq!(code, None);
    let last = bed.workqueue(&[&args[..], &["--resume"]].concat()).ok().json();
    assert!(last["skipped"].as_u64().expect("a number") >= confirmed, "{last}");
    assert_numbers(&bed, ITEMS, 32 * 1024);
    std::fs::remove_file(&path).expect("ours");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_lost_queue_is_told_and_not_made_anew() {
    const ITEMS: usize = 400_000;
    let bed = Bed::with_release("lost");
    let path = std::env::temp_dir().join(format!("{}.items", bed.namespace));
    std::fs::write(&path, "item\n".repeat(ITEMS)).expect("writable");
    let file = path.display().to_string();
    let args = ["enqueue", "-f", &file];
    let mut enqueue = bed.spawn(&args);
    let mut lines = BufReader::new(enqueue.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("items confirmed")));
    finish(spawn(Command::new("kill"), &["-INT", &enqueue.id().to_string()]), b"").ok();
    assert_eq!(enqueue.wait().expect("our own child").code(), Some(130));

    let exec = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "rabbitmqctl", "-q"];
    bed.kubectl(&[&exec[..], &["delete_queue", "job1"]].concat()).ok();
    let resume = [&args[..], &["--resume"]].concat();
    bed.workqueue(&resume).exits(3).says("queue job1 is gone, and with it");
    let queues = bed.workqueue(&["queues"]).ok().stdout;
    assert!(!queues.lines().any(|line| line.starts_with("job1 ")), "{queues}");
    // What was settled is gone, so there is nothing to go on from.
    bed.workqueue(&resume).exits(1).says("nothing to resume");
    std::fs::remove_file(&path).expect("ours");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_interrupt_ends_it_also_when_the_connection_breaks_then() {
    let bed = Bed::with_release("interrupt");
    let mut enqueue = Enqueue::numbers(&bed, &[], 1_000_000, 5000);
    enqueue.wait_for("items confirmed");
    let exec = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "rabbitmqctl", "-q"];
    bed.kubectl(&[&exec[..], &["set_disk_free_limit", "1000000GB"]].concat()).ok();
    enqueue.wait_for("the broker accepts no messages");
    // It waits for the confirms of what is in flight, and none comes any more.
    let pid = enqueue.child.id().to_string();
    finish(spawn(Command::new("kill"), &["-INT", &pid]), b"").ok();
    bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false", "--grace-period=0", "--force"]).ok();
    let interrupted = Instant::now();
    let outcome = enqueue.finish().exits(130);
    assert!(interrupted.elapsed() < Duration::from_secs(30), "{}", outcome.stderr);
    assert_eq!(outcome.json()["interrupted"], true);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_is_reached_without_a_tunnel() {
    let bed = Bed::with_release("direct");
    let secret = |key: &str| {
        let template = format!("go-template={{{{.data.{key}|base64decode}}}}");
        bed.kubectl(&["get", "secret", "workqueue-credentials", "-o", &template]).ok().stdout
    };
    let pod = bed.get(&["pod", "workqueue-broker-0"]);
    let address = pod["status"]["podIP"].as_str().expect("it runs");
    let url = format!("amqp://{}:{}@{address}", secret("username"), secret("password"));
    let nowhere = ["--kubeconfig", "/nonexistent"];
    let enqueue = |args: &[&str]| bed.workqueue(&[&["enqueue"], args].concat());
    enqueue(&[&["--broker-url", &url, "apple"], &nowhere[..]].concat()).ok().says("1 confirmed");
    bed.kubectl(&["create", "secret", "generic", "mq", &format!("--from-literal=url={url}")]).ok();
    enqueue(&["--broker-secret", "mq", "banana"]).ok().says("1 confirmed");
    assert_eq!(bed.messages("job1"), 2);

    let wrong = url.replacen(&secret("password"), "wrong", 1);
    enqueue(&["--broker-url", &wrong, "cherry"]).exits(1).says("the broker refused the login");
    let tls = url.replacen("amqp://", "amqps://", 1);
    enqueue(&["--timeout", "2s", "--broker-url", &format!("{tls}:5672"), "cherry"]).exits(1);
    enqueue(&["--broker-secret", "mq/other", "cherry"]).exits(1).says("has no key other");
}

/// Makes an authority (`ca.pem`) and a certificate of its for a DNS name (`cert.pem`, `key.pem`).
fn make_certificates(dir: &std::path::Path, name: &str) {
    let script = r#"cd "$1"; umask 077
        openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=ca -keyout ca.key -out ca.pem \
            -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout key.pem -out request
        printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$2" >extensions
        openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 \
            -extfile extensions -out cert.pem"#;
    let dir = dir.display().to_string();
    finish(spawn(Command::new("sh"), &["-euc", script, "sh", &dir, name]), b"").ok();
}

/// A TLS endpoint in front of a broker: `socat` listens.
struct TlsFront(Child);

impl TlsFront {
    fn new(dir: &std::path::Path, port: u16, broker: &str) -> Self {
        make_certificates(dir, "localhost");
        let dir = dir.display();
        let listen = format!(
            "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={dir}/cert.pem,key={dir}/key.pem"
        );
        Self(spawn(Command::new("socat"), &[&listen, &format!("TCP:{broker}:5672")]))
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_behind_tls_is_trusted_by_its_authority_alone() {
    let bed = Bed::with_release("tls");
    let secret = |key: &str| {
        let template = format!("go-template={{{{.data.{key}|base64decode}}}}");
        bed.kubectl(&["get", "secret", "workqueue-credentials", "-o", &template]).ok().stdout
    };
    let pod = bed.get(&["pod", "workqueue-broker-0"]);
    let dir = std::env::temp_dir().join(format!("{}-tls", bed.namespace));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let _front = TlsFront::new(&dir, port, pod["status"]["podIP"].as_str().expect("it runs"));
    let url = format!("amqps://{}:{}@localhost:{port}", secret("username"), secret("password"));
    let authority = dir.join("ca.pem").display().to_string();
    bed.workqueue(&["enqueue", "--broker-url", &url, "--broker-ca", &authority, "apple"])
        .ok()
        .says("1 confirmed");
    bed.workqueue(&["enqueue", "--broker-url", &url, "--timeout", "3s", "banana"]).exits(1);
    assert_eq!(bed.messages("job1"), 1);
    std::fs::remove_dir_all(&dir).expect("ours");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_that_takes_tls_alone_is_used_like_any_other() {
    let bed = Bed::new("tls-only");
    let dir = std::env::temp_dir().join(format!("{}-tls", bed.namespace));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    make_certificates(&dir, "workqueue-broker");
    let file = |key: &str, name: &str| format!("--from-file={key}={}", dir.join(name).display());
    let files = [file("tls.crt", "cert.pem"), file("tls.key", "key.pem"), file("ca.crt", "ca.pem")];
    let secret = ["create", "secret", "generic", "broker-tls", &files[0], &files[1], &files[2]];
    bed.kubectl(&secret).ok();
    // One that was plain before: the URL that workers read follows it.
    bed.up(&["--no-wait"]).ok();
    let tls = "broker.tls.enabled=true,broker.tls.only=true,broker.tls.existingSecret=broker-tls";
    let up = bed.up(&["--set", tls]).ok().stdout;
    assert!(up.contains("secret/workqueue-credentials configured"), "{up}");
    assert!(bed.up(&["--set", tls]).ok().stdout.contains("secret/workqueue-credentials unchanged"));
    bed.workqueue(&["enqueue", "apple", "banana"]).ok().says("2 confirmed");
    let peeked = bed.workqueue(&["peek"]).ok().stdout;
    assert!(peeked.contains("apple") && peeked.contains("banana"), "{peeked}");
    run(&bed, &[], "cat").ok().says("is complete: 2 done");
    std::fs::remove_dir_all(&dir).expect("ours");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_blocked_broker_is_shown_and_goes_on_by_itself() {
    const ITEMS: usize = 100_000;
    let bed = Bed::with_release("blocked");
    let ctl = |args: &[&str]| {
        let exec = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "rabbitmqctl", "-q"];
        bed.kubectl(&[&exec, args].concat()).ok();
    };
    let mut enqueue = Enqueue::numbers(&bed, &[], ITEMS, 5000);
    enqueue.wait_for("items confirmed");
    ctl(&["set_disk_free_limit", "1000000GB"]);
    enqueue.wait_for("the broker accepts no messages: low on disk");
    std::thread::sleep(Duration::from_secs(10));
    ctl(&["set_disk_free_limit", "50MB"]);
    enqueue.wait_for("the broker accepts messages again");
    let outcome = enqueue.finish().ok();
    assert_eq!(outcome.json()["republished"], 0, "the connection has held");
    assert_all_there(&bed, ITEMS, &outcome.json());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn what_the_broker_refuses_is_counted_and_the_rest_goes_on() {
    let bed = Bed::new("refused");
    bed.up(&["--set", "broker.extraConfig=max_message_size = 1000"]).ok();
    let exec = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "rabbitmqctl", "-q"];
    let ctl = |args: &[&str]| bed.kubectl(&[&exec, args].concat()).ok();
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
    let bodies: Vec<Vec<u8>> = drain(&bed, "job1").into_iter().map(|(_, body)| body).collect();
    for fruit in ["apple", "banana", "cherry"] {
        assert!(bodies.contains(&fruit.as_bytes().to_vec()), "{fruit} is missing");
    }
    assert!(bodies.iter().all(|body| body.len() < 1000));

    // A queue with room for 10.
    ctl(&["set_policy", "limit", "^job1$", r#"{"max-length": 10}"#, "--apply-to", "queues"]);
    let lines: String = (1..=500).map(|number| format!("{number}\n")).collect();
    let full = bed
        .workqueue_with_input(&["enqueue", "-o", "json", "-f", "-"], lines.as_bytes())
        .exits(3)
        .says("the queue takes no more");
    let report = full.json();
    let count = |key: &str| report[key].as_u64().expect("a number");
    assert_eq!(count("confirmed") + count("refused"), 500, "{report}");
    assert_eq!(drain(&bed, "job1").len() as u64, count("confirmed"), "{report}");
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
    let bodies: Vec<Vec<u8>> = drain(&bed, "job1.failed").into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [b"plain".to_vec(), b"{\"a\":1}".to_vec()]);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_is_looked_into_copied_and_emptied() {
    for image in ["WORKQUEUE_TEST_BROKER_IMAGE", "WORKQUEUE_TEST_BROKER_IMAGE_OLD"] {
        let bed = Bed::with_broker("look", image);
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
            assert_eq!(message["headers"]["x-delivery-count"], "2", "{message}");
        }
        // Nothing is gone, and the order is what it was.
        assert_eq!(bed.messages("job1"), 3);
        let bodies: Vec<Vec<u8>> = drain(&bed, "job1").into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, [b"apple".to_vec(), b"\xff".to_vec(), b"banana".to_vec()]);

        // More than a quorum queue keeps in order by itself.
        let numbers =
            |from: u32, to: u32| (from..=to).map(|number| format!("{number:04}\n")).collect::<String>();
        bed.workqueue_with_input(&["enqueue", "-f", "-"], numbers(1, 400).as_bytes()).ok();
        for _ in 0..2 {
            assert!(bed.workqueue(&["dump"]).ok().stdout == numbers(1, 400), "all of it, in its order");
        }
        // More than are under way at one time.
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
}
