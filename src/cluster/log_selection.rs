//! Which containers' logs are read, and from where on.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use regex::Regex;

use super::container_log::Container;
use super::pod_state::main_status;

/// The default is the whole log of the main container of each pod.
#[derive(Debug, Clone, Default)]
pub struct LogSelection {
    /// Only pods whose names match.
    pub pods: Option<Regex>,
    /// Containers whose names match, init containers too, instead of the main one.
    pub containers: Option<Regex>,
    pub from: LogStart,
}

/// Where the log of a container begins that is there already.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogStart {
    /// Only lines that are not older.
    pub since: Option<Duration>,
    /// At most that many lines, from the end.
    pub tail: Option<u32>,
}

impl LogSelection {
    /// The selected containers of a pod that have started.
    pub(super) fn started(&self, pod: &Pod) -> Vec<Container> {
        if self.pods.as_ref().is_some_and(|pods| !pods.is_match(&pod.name_any())) {
            return Vec::new();
        }
        self.statuses(pod).into_iter().filter_map(|status| Container::started(pod, status)).collect()
    }

    fn statuses<'a>(&self, pod: &'a Pod) -> Vec<&'a ContainerStatus> {
        match &self.containers {
            None => main_status(pod).into_iter().collect(),
            Some(containers) => {
                all_statuses(pod).filter(|status| containers.is_match(&status.name)).collect()
            }
        }
    }
}

/// The statuses of all containers, in the order in which they start.
pub(super) fn all_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_containers_are_selected_by_their_names() {
        let status = |name: &str| {
            serde_json::json!({"name": name, "image": "i", "imageID": "", "ready": false,
                "restartCount": 0, "containerID": format!("docker://{name}"), "state": {"running": {}}})
        };
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "job1-abc"},
            "spec": {"containers": [{"name": "worker"}, {"name": "proxy"}]}, "status": {
            "initContainerStatuses": [status("inject-worker")],
            "containerStatuses": [status("proxy"), status("worker")]}}))
        .expect("a pod");
        let regex = |text: &str| Some(Regex::new(text).expect("an expression"));
        let started = |pods: &str, containers: Option<Regex>| {
            let selection = LogSelection { pods: regex(pods), containers, ..LogSelection::default() };
            selection.started(&pod).iter().map(|container| container.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(started("abc$", None), ["worker"], "the main container");
        assert_eq!(started("^job1", regex(".")), ["inject-worker", "proxy", "worker"]);
        assert_eq!(started("", regex("^p")), ["proxy"]);
        assert_eq!(started("job2", regex(".")), [""; 0]);
    }
}
