//! Credential plugins of the kubeconfig, with an API server that knows nothing but their tokens.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use workqueue_test_support::{Outcome, Sandbox};

/// An API server that refuses every request, and notes their Authorization headers.
struct ApiServer {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let notes = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let notes = notes.clone();
                std::thread::spawn(move || answer(stream, &notes));
            }
        });
        Self { port, seen }
    }
}

fn answer(stream: TcpStream, notes: &Mutex<Vec<String>>) {
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no"}"#;
    let mut writer = stream.try_clone().expect("a socket");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let token = headers.iter().find_map(|line| line.strip_prefix("authorization: "));
        notes.lock().expect("no panic").push(token.unwrap_or("none").to_owned());
        assert!(request.ends_with("HTTP/1.1"), "{request}");
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length:";
        if write!(writer, "{head} {}\r\n\r\n{body}", body.len()).is_err() {
            return;
        }
    }
}

/// A sandbox whose kubeconfig names a plugin, which is this shell script.
fn with_plugin(port: u16, mode: &str, script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.program("login", script);
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}], users: [{{name: u, user: {{exec: \
         {{apiVersion: client.authentication.k8s.io/v1, command: login, args: [get, token], interactiveMode: {mode}, \
         env: [{{name: TEAM, value: blue}}]}}}}}}]}}"
    );
    sandbox.file("kubeconfig", text);
    sandbox
}

/// Runs the plugin with items on standard input, and shell tools on PATH.
fn enqueue(sandbox: &Sandbox) -> Outcome {
    let mut command = sandbox.command(&["enqueue", "-f", "-", "--timeout", "5s"]);
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let input = sandbox.file("items", "1\n2\n3\n");
    let script = r#"exec 3<"$1"; shift; "$@" <&3; code=$?; cat <&3 > left; exit $code"#;
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    shell.env("PATH", path).args(["-c", script, "sh"]).arg(input);
    shell.arg(command.get_program()).args(command.get_args());
    command = shell;
    sandbox.finish(&mut command)
}

#[test]
fn a_plugin_reads_none_of_the_items_and_runs_once() {
    let server = ApiServer::start();
    let answer = r#"cat > seen; echo "$KUBERNETES_EXEC_INFO $TEAM" > told
        echo '{"kind": "ExecCredential", "status": {"token": "t1"}}'"#;
    for mode in ["Never", "IfAvailable", "Always"] {
        let sandbox = with_plugin(server.port, mode, answer);
        enqueue(&sandbox).exits(1);
        assert_eq!(sandbox.read("seen"), "", "{mode}");
        assert_eq!(sandbox.calls(), "login get token\n", "{mode}");
        assert!(
            sandbox.read("told").contains(r#""interactive":false"#)
                && sandbox.read("told").ends_with("blue\n")
        );
    }
    let seen = server.seen.lock().expect("no panic");
    assert!(!seen.is_empty() && seen.iter().all(|token| token == "Bearer t1"), "{seen:?}");
}

#[test]
fn a_missing_file_in_a_list_and_empty_flags_are_skipped_as_with_kubectl() {
    let server = ApiServer::start();
    let sandbox = with_plugin(server.port, "Never", "echo '{\"status\": {\"token\": \"t\"}}'");
    let (missing, good) = (sandbox.path("missing"), sandbox.path("kubeconfig"));
    let list = |paths: &[&std::path::Path]| std::env::join_paths(paths).expect("no colons");
    let queues = |kubeconfig, flags: &[&str]| {
        let mut command = sandbox.command(&["queues"]);
        let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
        sandbox.finish(command.args(flags).env("KUBECONFIG", kubeconfig).env("PATH", path))
    };
    queues(list(&[&missing, &good]), &[]).exits(1).says("forbidden");
    queues(list(&[&good, &missing]), &["--context=", "--kubeconfig=", "--namespace="])
        .exits(1)
        .says("forbidden");
    queues(list(&[&missing, &missing]), &[]).exits(1).says("[DIR]/missing");
}

/// Made with `openssl x509 -req -in csr -signkey key`.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFTCBuwIUCtz/bsSsbtE4aIjrV8EA8wNRkoIwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwHhcNMjYxMTI4MDQxODQ2WhcNMzYxMTI1MDQxODQ2WjANMQswCQYD
VQQDDAJ2MTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFoGwKHW54r+wHFwBrP1
IXGkcTOhpHdbFcFT7J6rVyJPTxHc6rzCLoDFEO6RiAszxLvDrbGRrT9p271uroKL
H2AwCgYIKoZIzj0EAwIDSQAwRgIhANd+eui91UkXMxKPFZ9vjKkOG5dIbRtTfkrf
K4ENSoE0AiEAsys1K2Wa1/LSe+fMemmjojdRShsQDf0a0DvO9ekpoEw=
-----END CERTIFICATE-----
";

#[test]
fn a_client_certificate_of_version_1_is_named_with_its_cure() {
    let sandbox = Sandbox::new();
    sandbox.file("cert.pem", VERSION_1);
    // It is refused before anybody looks at the key.
    sandbox.file("key.pem", "no key\n");
    sandbox.file(
        "kubeconfig",
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], \
         clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], \
         users: [{name: u, user: {client-certificate: cert.pem, client-key: key.pem}}]}",
    );
    assert_snapshot!(sandbox.run(&["queues"]), @"
    exit code 1
    --- stderr
    error: the client certificate in the kubeconfig is of X.509 version 1, which is not supported
    hint: have it signed again as version 3: `openssl x509 -req` makes one if it gets an -extfile with a line such as extendedKeyUsage=clientAuth
    ");
}

#[test]
fn a_token_that_expires_is_replaced() {
    let server = ApiServer::start();
    let answer = r#"echo x >> runs
        echo "{\"status\": {\"token\": \"t$(wc -l < runs)\", \"expirationTimestamp\": \"2020-01-01T00:00:00Z\"}}""#;
    let sandbox = with_plugin(server.port, "Never", answer);
    enqueue(&sandbox).exits(1);
    let seen = server.seen.lock().expect("no panic");
    // The first run is the check that the plugin works.
    assert_eq!(seen.first().map(|token| token.replace(' ', "-")).as_deref(), Some("Bearer-t2"), "{seen:?}");
}

#[test]
fn a_plugin_that_fails_is_named_and_its_answer_is_not_shown() {
    let server = ApiServer::start();
    let sandbox = with_plugin(server.port, "IfAvailable", "echo secret; echo 'session expired' >&2; exit 3");
    assert_snapshot!(enqueue(&sandbox), @r#"
    exit code 1
    --- stderr
    session expired
    error: credential plugin "login" failed (exit status: 3); what it said is above
    hint: the plugin gets no standard input: log in first, for instance with `kubectl get pods`
    "#);
    assert_eq!(sandbox.calls(), "login get token\n");
    let sandbox = with_plugin(server.port, "IfAvailable", "echo '{\"secret\": 1}'");
    assert_snapshot!(enqueue(&sandbox), @r#"
    exit code 1
    --- stderr
    error: credential plugin "login" gave no credentials: its answer has no status
    hint: `kubectl config view --minify` shows the plugin, under users
    "#);
    sandbox.file("kubeconfig", sandbox.read("kubeconfig").replace("command: login", "command: absent"));
    assert_snapshot!(enqueue(&sandbox), @r#"
    exit code 1
    --- stderr
    error: credential plugin "absent" cannot be started: No such file or directory (os error 2)
    hint: `kubectl config view --minify` shows the plugin, under users
    "#);
}

#[test]
fn a_kubeconfig_that_says_nothing_useful_is_named() {
    let sandbox = Sandbox::new();
    let said = |name: &str, content: &str| {
        sandbox.file(name, content);
        sandbox.finish(sandbox.command(&["status"]).env("KUBECONFIG", sandbox.path(name))).exits(1)
    };
    said("broken", "x: [").says("error: no cluster to talk to: [DIR]/broken: ");
    let contexts =
        "contexts: [{name: x, context: {cluster: c, user: u}}, {name: y, context: {cluster: c, user: u}}]";
    said("plain", &format!("{{apiVersion: v1, kind: Config, {contexts}}}"))
        .says("the kubeconfig has no current context; there are: x, y")
        .says("choose one with --context");
    said("old", &format!("{{apiVersion: v1, kind: Config, current-context: gone, {contexts}}}"))
        .says("there is no context \"gone\"; there are: x, y");
    sandbox.finish(sandbox.command(&["status"]).env("KUBECONFIG", sandbox.path(""))).exits(1).says("[DIR]");
}
