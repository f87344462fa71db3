//! A way to the broker that is cut again and again, in the middle of what is being sent: a pod in
//! front of the broker, which workers reach through a Service.

use serde_json::json;
use workqueue_test_support::seed_worker;

use crate::trial::Trial;

/// Passes bytes on, each connection up to a number of bytes of its own, then closes both ends. What was
/// read last is passed on in half: a frame ends in its middle.
const CUTTER: &str = r#"
import os, random, socket, threading
cuts = 0
def passes(near, far, budget):
    global cuts
    try:
        while data := near.recv(65536):
            budget[0] -= len(data)
            if budget[0] < 0:
                far.sendall(data[:len(data) // 2])
                cuts += 1
                print("cut", cuts, flush=True)
                break
            far.sendall(data)
    except OSError:
        pass
    for end in (near, far):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
server = socket.create_server(("", 5672))
while True:
    near, _ = server.accept()
    try:
        far = socket.create_connection(("workqueue-broker", 5672))
    except OSError:
        near.close()
        continue
    # The handshake has about a thousand bytes. Later connections live: the run has to end.
    budget = [random.randint(2000, 20000) if cuts < int(os.environ["CUTS"]) else 1 << 60]
    for ends in ((near, far), (far, near)):
        threading.Thread(target=passes, args=(*ends, budget), daemon=True).start()
"#;

/// Starts it, and writes the URL that leads through it into the Secret `cut`.
pub fn start(trial: &Trial) {
    let labels = json!({"app": "cut"});
    let url = trial.bed.broker_url("amqp", "cut:5672");
    let cuts = if crate::full() { "60" } else { "12" };
    trial.witness.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cut"}, "stringData": {"url": url}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cut"},
            "spec": {"selector": labels, "ports": [{"port": 5672}]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cut", "labels": labels}, "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "cut", "image": seed_worker(), "command": ["python3", "-c", CUTTER],
                "env": [{"name": "CUTS", "value": cuts}]}],
        }},
    ]}));
    trial.bed.kubectl(&["wait", "--for=condition=Ready", "pod/cut", "--timeout=90s"]).ok();
}

/// How many connections were cut.
pub fn cuts(trial: &Trial) -> usize {
    trial.bed.kubectl(&["logs", "cut"]).ok().stdout.lines().count()
}
