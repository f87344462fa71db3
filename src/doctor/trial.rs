//! Runs the trial pods: creates them, watches their images, tries a port-forward, and deletes them in
//! every case.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::finding::Finding;
use super::subject::{PodGroup, Role};
use super::trial_pod::{self, Pull};
use crate::cluster::access::Right;
use crate::cluster::image_pull::PullFailure;
use crate::cluster::pod_stream::PodPort;
use crate::cluster::{self, Cluster};
use crate::notice::{Notice, Observer, Wait};
use workqueue_core::names::random_suffix;

const IMAGE: &str = "image";
const FORWARD: &str = "port-forward";

/// How often pods are looked at, and how often it is said what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(400);
const SAY_EVERY: u64 = 5;

/// How long a pull may go on failing for a reason that may pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the first answer through a port-forward may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(10);

/// The broker's port. Nothing listens there in a trial pod: the refusal comes through the tunnel.
const PORT: PodPort = PodPort { number: 5672, tls: false };

/// A trial pod of a group.
struct Trial<'a> {
    group: &'a PodGroup,
    name: String,
    /// How far its images are.
    pulls: Vec<(String, Pull)>,
    /// Since when a pull fails for a reason that may pass.
    failing_since: Option<Instant>,
    forwarded: Option<Finding>,
    /// What was found, once it is known.
    findings: Option<Vec<Finding>>,
}

impl<'a> Trial<'a> {
    fn new(group: &'a PodGroup) -> Self {
        let name = format!("kubectl-workqueue-doctor-{}", random_suffix(6));
        Self { group, name, pulls: Vec::new(), failing_since: None, forwarded: None, findings: None }
    }
}

/// What to try.
pub(super) struct TrialPlan<'a> {
    pub(super) groups: &'a [PodGroup],
    /// Whether to try a port-forward to the broker's trial pod.
    pub(super) forward: bool,
    /// How long pulling the images may take.
    pub(super) timeout: Duration,
}

/// Tries to pull the images of all groups. Returns what was found, and whether the user stopped it. The
/// pods are deleted then, too.
pub(super) async fn run(
    cluster: &Cluster,
    plan: &TrialPlan<'_>,
    observer: &dyn Observer,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> (Vec<Finding>, bool) {
    if let Some(finding) = not_allowed(cluster).await {
        return (vec![finding], false);
    }
    let mut trials: Vec<Trial<'_>> = plan.groups.iter().map(Trial::new).collect();
    observer.on(Notice::Waiting(Wait::Cluster("the server to create trial pods")));
    // Not to be cancelled: a pod whose creation was not waited for could stay.
    for trial in &mut trials {
        trial.findings = create(cluster, trial).await.map(|finding| vec![finding]);
    }
    let stopped = tokio::select! {
        () = watch(cluster, &mut trials, plan, observer) => false,
        () = stop.as_mut() => true,
    };
    let deleted = join_all(trials.iter().map(|trial| delete(cluster, &trial.name))).await;
    let found = trials.into_iter().filter_map(|trial| trial.findings.filter(|_| !stopped)).flatten();
    (found.chain(deleted.into_iter().flatten()).collect(), stopped)
}

/// Who may not delete a pod must not create one.
async fn not_allowed(cluster: &Cluster) -> Option<Finding> {
    for verb in ["create", "get", "delete"] {
        match cluster.may(&Right::new(verb, "", "pods")).await {
            Ok(true) => {}
            Ok(false) => {
                let message = format!("not allowed to look: a trial pod needs the right to {verb} pods");
                return Some(Finding::unknown(IMAGE, message));
            }
            Err(error) => return Some(Finding::not_seen(IMAGE, &error)),
        }
    }
    None
}

/// Creates a trial pod. Returns why it could not.
async fn create(cluster: &Cluster, trial: &Trial<'_>) -> Option<Finding> {
    let manifest: Value = trial_pod::manifest(trial.group, &trial.name);
    let error = cluster.create(&manifest, false).await.err()?;
    let role = trial.group.role.as_str();
    Some(match &error {
        // The lines about quotas and admission say whether the real pods are refused.
        cluster::Error::Forbidden { message, .. } => Finding::unknown(
            IMAGE,
            format!("the server takes no trial pod for the {role}'s images: {message}"),
        ),
        error => Finding::not_seen(IMAGE, error),
    })
}

/// Deletes a trial pod. Returns a finding if it may still be there.
async fn delete(cluster: &Cluster, name: &str) -> Option<Finding> {
    let error = cluster.delete_pod(name).await.err()?;
    let hint = format!("delete it: `kubectl delete pod {name}`; it ends by itself within 10 minutes");
    Some(Finding::warning(IMAGE, format!("trial pod {name} may be left: {error}"), hint))
}

/// Watches the trial pods until it is known of each image whether it can be pulled.
async fn watch(cluster: &Cluster, trials: &mut [Trial<'_>], plan: &TrialPlan<'_>, observer: &dyn Observer) {
    let started = Instant::now();
    loop {
        for trial in trials.iter_mut().filter(|trial| trial.findings.is_none()) {
            trial.findings = look(cluster, trial, plan, started.elapsed()).await;
        }
        let Some(trial) = trials.iter().find(|trial| trial.findings.is_none()) else { return };
        say(observer, trial, started.elapsed().as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks at a trial pod. `None` if not everything is known yet.
async fn look(
    cluster: &Cluster,
    trial: &mut Trial<'_>,
    plan: &TrialPlan<'_>,
    waited: Duration,
) -> Option<Vec<Finding>> {
    let pod = match cluster.find_pod(&trial.name).await {
        Ok(Some(pod)) => pod,
        Ok(None) => {
            return Some(vec![Finding::unknown(IMAGE, format!("somebody deleted trial pod {}", trial.name))]);
        }
        Err(error) => return Some(vec![Finding::not_seen(IMAGE, &error)]),
    };
    trial.pulls = trial_pod::pulls(&pod);
    if plan.forward && trial.group.role == Role::Broker && trial.forwarded.is_none() && is_running(&pod) {
        trial.forwarded = Some(forward(cluster, &trial.name).await);
    }
    let fails = |(_, pull): &(String, Pull)| matches!(pull, Pull::Failed(PullFailure::Other, _));
    let now = Instant::now();
    trial.failing_since = trial.pulls.iter().any(fails).then(|| trial.failing_since.unwrap_or(now));
    let tired = trial.failing_since.is_some_and(|since| since.elapsed() > PATIENCE);
    let known = trial.pulls.iter().all(|(_, pull)| is_known(pull, tired));
    if !known && waited <= plan.timeout {
        return None;
    }
    let (node, role) = (pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()), trial.group.role);
    let judge =
        |(image, pull): &(String, Pull)| trial_pod::judge(role.as_str(), image, pull, node, waited.as_secs());
    let is_asked = plan.forward && trial.group.role == Role::Broker;
    let untried = || Finding::unknown(FORWARD, "no trial pod has run that could be forwarded to");
    let forwarded = is_asked.then(|| trial.forwarded.take().unwrap_or_else(untried));
    Some(trial.pulls.iter().map(judge).chain(forwarded).collect())
}

fn is_known(pull: &Pull, tired: bool) -> bool {
    match pull {
        Pull::Pulled | Pull::LacksTools(_) => true,
        Pull::Waiting(_) => false,
        Pull::Failed(failure, _) => failure.is_definite() || tired,
    }
}

fn say(observer: &dyn Observer, trial: &Trial<'_>, seconds: u64) {
    let Some((image, pull)) = trial.pulls.iter().find(|(_, pull)| !is_known(pull, false)) else { return };
    let why = match pull {
        Pull::Failed(_, why) | Pull::Waiting(Some(why)) => format!(" ({why})"),
        _ => String::new(),
    };
    let (rounded, role) = (seconds - seconds % SAY_EVERY, trial.group.role.as_str());
    let text = format!("a node to pull the {role}'s image {image}, for {rounded} s{why}");
    observer.on(Notice::Waiting(Wait::Cluster(&text)));
}

fn is_running(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// Opens a port-forward over a WebSocket. What comes back is the refusal of a port where nobody
/// listens: bytes went both ways.
async fn forward(cluster: &Cluster, pod: &str) -> Finding {
    let mut stream = match cluster.pod_stream(pod, PORT).await {
        Ok(stream) => stream,
        Err(error) => return forward_failed(&error),
    };
    match tokio::time::timeout(FORWARD_TIMEOUT, stream.read_u8()).await {
        Ok(answer) => forwarded(&answer),
        Err(_) => {
            let seconds = FORWARD_TIMEOUT.as_secs();
            let message = format!("nothing comes through a port-forward within {seconds} s");
            Finding::error(FORWARD, message, FORWARD_HINT)
        }
    }
}

/// What an answer through a port-forward says. It may be the node's own: a node without socat cannot
/// forward.
fn forwarded(answer: &std::io::Result<u8>) -> Finding {
    match answer {
        Err(error) if !error.to_string().to_lowercase().contains("refused") => {
            let message = format!("a port-forward breaks before the pod has answered: {error}");
            Finding::error(FORWARD, message, FORWARD_HINT)
        }
        _ => Finding::ok(FORWARD, "port-forward over WebSocket works"),
    }
}

const FORWARD_HINT: &str = "see whether a proxy between here and the API server lets WebSockets through; from inside the \
                            cluster, or with --broker-url, no port-forward is needed";

/// What a port-forward that cannot be opened means.
pub(super) fn forward_failed(error: &cluster::Error) -> Finding {
    if error.is_refusal() {
        return Finding::not_seen(FORWARD, error);
    }
    Finding::error(FORWARD, format!("port-forward over WebSocket does not work: {error}"), FORWARD_HINT)
}
