//! A pod that shows whether nodes can pull the images: its manifest, and what its state says.
//!
//! Each image is a container that sleeps. An image without `sleep` was pulled, too: its container fails
//! to start. The container of the image that unpacks the worker looks for the tools for that, and ends.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use serde_json::{Value, json};

use super::finding::Finding;
use super::subject::{PodGroup, containers};
use crate::cluster::image_pull::PullFailure;
use crate::cluster::pod_start::pod_wait;
use crate::run::job_manifest::INJECTOR;

const CHECK: &str = "image";

/// How long a container sleeps, in seconds. A pod that is left behind has ended by then.
const SLEEP: &str = "120";
const POD_SECONDS: u32 = 600;

/// Begins the name of the container that looks for tools, and is no other container's.
const UNPACKS: &str = "unpack";

/// Looks for what the chart's `workqueue.unpackCommand` needs.
const LOOK_FOR_TOOLS: &str = "for tool in gzip sha256sum; do
  command -v $tool >/dev/null || { echo it has no $tool >&2; exit 126; }
done";

/// What a container asks for: quotas and limit ranges may require that it says so.
const LITTLE: [(&str, &str); 3] = [("cpu", "50m"), ("memory", "64Mi"), ("ephemeral-storage", "16Mi")];

/// The manifest of the pod for a group's images. It goes where the group's pods go.
pub(super) fn manifest(group: &PodGroup, name: &str) -> Value {
    let spec = group.spec();
    let mut images: BTreeMap<&str, Value> = BTreeMap::new();
    for container in containers(&spec) {
        let Some(image) = &container.image else { continue };
        let number = images.len();
        images.entry(image).or_insert_with(|| {
            let little: BTreeMap<&str, &str> = LITTLE.into();
            let (kind, command) = match unpacks(container) {
                true => (UNPACKS, json!(["/bin/sh", "-c", LOOK_FOR_TOOLS])),
                false => ("image", json!(["sleep", SLEEP])),
            };
            json!({
                "name": format!("{kind}-{number}"),
                "image": image,
                "imagePullPolicy": container.image_pull_policy,
                "command": command,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": container.security_context,
                "resources": {"requests": little, "limits": little},
            })
        });
    }
    let node_affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "kubectl-workqueue", "app.kubernetes.io/component": "doctor"},
            "annotations": {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"},
        },
        "spec": {
            "containers": images.into_values().collect::<Vec<_>>(),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": POD_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": spec.image_pull_secrets,
            "serviceAccountName": spec.service_account_name,
            "securityContext": spec.security_context,
            "nodeSelector": spec.node_selector,
            "tolerations": spec.tolerations,
            "affinity": {"nodeAffinity": node_affinity},
        },
    });
    without_nulls(manifest)
}

/// Whether a container unpacks the worker that a run brings.
fn unpacks(container: &Container) -> bool {
    let words = container.command.as_deref().unwrap_or_default();
    container.name == INJECTOR && words.first().is_some_and(|word| word == "/bin/sh")
}

/// A manifest without nulls, which servers may refuse.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// How far an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pull {
    /// The node has it.
    Pulled,
    /// It is not there yet; for the reason in these words, if there is one.
    Waiting(Option<String>),
    Failed(PullFailure, String),
    /// The node has it, and it cannot unpack the worker for this reason.
    LacksTools(String),
}

/// How far each image of a pod is.
pub(super) fn pulls(pod: &Pod) -> Vec<(String, Pull)> {
    let spec = pod.spec.clone().unwrap_or_default();
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let status_of = |name: &str| statuses?.iter().find(|status| status.name == name);
    let why = pod_wait(pod).filter(|wait| wait.image.is_none());
    let why = why.map(|wait| format!("{}: {}", wait.reason, wait.message));
    let pull = |name: &str, image: &str| match status_of(name) {
        Some(status) => of_status(status, image),
        None => Pull::Waiting(why.clone()),
    };
    let images = spec.containers.iter().filter_map(|it| Some((it.name.as_str(), it.image.clone()?)));
    images.map(|(name, image)| (image.clone(), pull(name, &image))).collect()
}

fn of_status(status: &ContainerStatus, image: &str) -> Pull {
    let state = status.state.clone().unwrap_or_default();
    let wrong = |message: Option<&str>| message.is_some_and(|it| it.contains("exec format error"));
    let looks_for_tools = status.name.starts_with(UNPACKS);
    if let Some(ended) = &state.terminated {
        let message = ended.message.clone().unwrap_or_default();
        return if wrong(Some(&message)) {
            Pull::Failed(PullFailure::WrongPlatform, message)
        } else if looks_for_tools && ended.exit_code != 0 {
            Pull::LacksTools(message.trim().to_owned())
        } else {
            Pull::Pulled
        };
    }
    let Some(waiting) = state.waiting else {
        let is_known = state.running.is_some() && !looks_for_tools;
        return if is_known { Pull::Pulled } else { Pull::Waiting(None) };
    };
    let (reason, message) = (waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default());
    match PullFailure::of(&reason, &message, image) {
        Some(failure) => Pull::Failed(failure, format!("{reason}: {message}")),
        None if wrong(Some(&message)) => Pull::Failed(PullFailure::WrongPlatform, message),
        // The kubelet gets there only with an image.
        None if matches!(reason.as_str(), "CreateContainerError" | "RunContainerError") => {
            if looks_for_tools { Pull::LacksTools(message.trim().to_owned()) } else { Pull::Pulled }
        }
        // A back-off says no reason: the one before it did.
        None if reason == "ImagePullBackOff" => {
            Pull::Failed(PullFailure::Other, format!("{reason}: {message}"))
        }
        None if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing") => {
            Pull::Waiting(None)
        }
        None => Pull::Waiting(Some(format!("{reason}: {message}"))),
    }
}

/// Judges an image; `node` is where it was tried.
pub(super) fn judge(role: &str, image: &str, pull: &Pull, node: Option<&str>, seconds: u64) -> Finding {
    let on = node.map(|node| format!("node {node}")).unwrap_or_else(|| "a node".to_owned());
    let (failure, message) = match pull {
        Pull::Pulled => return Finding::ok(CHECK, format!("{on} has the {role}'s image {image}")),
        Pull::LacksTools(why) => {
            let message = format!("the image {image} cannot unpack the worker: {why}");
            let hint = "name one that has sh, gzip and sha256sum in the value worker.inject.unpackImage: busybox has";
            return Finding::error(CHECK, message, hint);
        }
        Pull::Failed(failure, message) => (failure, message.trim()),
        Pull::Waiting(why) => {
            let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let message = format!("{on} has not had the {role}'s image {image} after {seconds} s{why}");
            return Finding::warning(
                CHECK,
                message,
                "allow more time with --timeout, or fix what the pod waits for",
            );
        }
    };
    let hint = match failure {
        PullFailure::NotFound => "correct the name or the tag, or push the image",
        PullFailure::Denied => {
            "create a pull secret (`kubectl create secret docker-registry`) and name it with \
             --set imagePullSecrets[0]=NAME"
        }
        PullFailure::InvalidName => "write it as REGISTRY/PATH:TAG",
        PullFailure::WrongPlatform => "build it for the nodes with --platform, or use another tag",
        PullFailure::NotOnNode => {
            "load the image into the nodes, or let them pull it: imagePullPolicy IfNotPresent"
        }
        PullFailure::Other => "see whether the nodes reach the registry, and try again",
    };
    Finding::error(CHECK, format!("{on} cannot pull the {role}'s image {image}: {message}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::{subject, subject_of_run};

    #[test]
    fn each_image_is_a_container_that_may_do_no_more_than_the_real_one() {
        let settings = [
            "worker.image=w:1",
            "worker.inject.image=i:1",
            "worker.imagePullSecrets[0]=s",
            "worker.nodeSelector.disk=ssd",
        ];
        let manifest = manifest(&subject(&settings).pods[1], "p");
        let pod: Pod = serde_json::from_value(manifest.clone()).expect("a pod");
        let spec = pod.spec.expect("it has one");
        let images: Vec<_> = spec.containers.iter().filter_map(|it| it.image.as_deref()).collect();
        assert_eq!(images, ["i:1", "w:1"]);
        assert_eq!(spec.image_pull_secrets.expect("one")[0].name, "s");
        assert_eq!(spec.node_selector.expect("one")["disk"], "ssd");
        let context = spec.containers[0].security_context.as_ref().expect("as in the chart");
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert!(!manifest.to_string().contains("null"), "{manifest}");
        assert_eq!(subject(&[]).pods[0].spec().containers.len(), 1);
        let broker = super::manifest(&subject(&[]).pods[0], "p");
        assert_eq!(broker["spec"]["containers"].as_array().map(Vec::len), Some(1), "the same image twice");
    }

    fn pull(state: Value) -> Pull {
        pull_of("image-0", state)
    }

    fn pull_of(name: &str, state: Value) -> Pull {
        let status = json!({"containerStatuses": [{"name": name, "image": "a/b:1", "imageID": "",
            "ready": false, "restartCount": 0, "state": state}]});
        let spec = json!({"containers": [{"name": name, "image": "a/b:1"}]});
        let pod = serde_json::from_value(json!({"spec": spec, "status": status})).expect("a pod");
        pulls(&pod).remove(0).1
    }

    #[test]
    fn an_image_is_there_once_its_container_was_tried() {
        assert_eq!(pull(json!({"running": {}})), Pull::Pulled);
        let no_sleep = json!({"waiting": {"reason": "RunContainerError", "message": "sleep: not found"}});
        assert_eq!(pull(no_sleep), Pull::Pulled);
        let failed =
            json!({"terminated": {"exitCode": 128, "reason": "ContainerCannotRun", "message": "no sleep"}});
        assert_eq!(pull(failed), Pull::Pulled);
        assert_eq!(pull(json!({"waiting": {"reason": "ContainerCreating"}})), Pull::Waiting(None));
    }

    #[test]
    fn an_image_that_unpacks_the_worker_has_the_tools_for_it() {
        let manifest = manifest(&subject_of_run(&["worker.inject.unpackImage=u:1"]).pods[1], "p");
        let names: Vec<_> = [0, 1].map(|at| manifest["spec"]["containers"][at]["name"].clone()).into();
        assert_eq!(names, ["unpack-0", "image-1"]);
        let ended = |code: i32| json!({"terminated": {"exitCode": code, "message": "it has no gzip\n"}});
        assert_eq!(pull_of("unpack-0", json!({"running": {}})), Pull::Waiting(None), "it still looks");
        assert_eq!(pull_of("unpack-0", ended(0)), Pull::Pulled);
        let lacks = pull_of("unpack-0", ended(126));
        let finding = judge("worker", "u:1", &lacks, None, 3);
        assert_eq!(finding.state, State::Error);
        assert_eq!(finding.message, "the image u:1 cannot unpack the worker: it has no gzip");
        let no_shell =
            json!({"waiting": {"reason": "RunContainerError", "message": "exec /bin/sh: not found"}});
        assert!(matches!(pull_of("unpack-0", no_shell), Pull::LacksTools(_)));
    }

    #[test]
    fn failures_are_told_apart() {
        let failure = |reason: &str, message: &str| match pull(
            json!({"waiting": {"reason": reason, "message": message}}),
        ) {
            Pull::Failed(failure, _) => failure,
            other => panic!("{other:?}"),
        };
        let none = "no matching manifest for linux/amd64 in the manifest list entries";
        assert_eq!(failure("ErrImagePull", none), PullFailure::WrongPlatform);
        assert_eq!(failure("RunContainerError", "exec format error"), PullFailure::WrongPlatform);
        assert_eq!(failure("ImagePullBackOff", "Back-off pulling image"), PullFailure::Other);
        let wrong = Pull::Failed(PullFailure::WrongPlatform, none.to_owned());
        let finding = judge("worker", "w:1", &wrong, Some("n1"), 3);
        assert_eq!(finding.state, State::Error);
        assert!(finding.message.starts_with("node n1 cannot pull the worker's image w:1: no matching"));
        assert_eq!(judge("worker", "w", &Pull::Waiting(None), None, 3).state, State::Warning);
    }
}
