//! What pods of a run wait for before they start, and the command that shows more.

use std::time::Duration;

/// Pods that wait for the same reason, or a Job that cannot create any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartWait {
    /// Kubernetes' word.
    pub reason: String,
    /// How many pods wait; 0 for the Job.
    pub pods: u32,
    /// The Job, or the pod that waits longest.
    pub object: String,
    pub message: String,
    pub waited: Duration,
    /// Whether the run is ended if this lasts.
    pub is_definite: bool,
}

impl StartWait {
    /// Adds a pod that waits for the same reason.
    pub fn join(&mut self, other: Self) {
        self.pods += 1;
        if other.waited > self.waited {
            (self.object, self.message, self.waited) = (other.object, other.message, other.waited);
        }
    }

    /// What waits: the Job, the pod, or how many pods.
    pub fn who(&self) -> String {
        match self.pods {
            0 => format!("job {}", self.object),
            1 => format!("pod {}", self.object),
            pods => format!("{pods} pods"),
        }
    }

    /// The reason with its message.
    pub fn why(&self) -> String {
        joined(&self.reason, &self.message)
    }

    /// What to change, if the message tells.
    pub fn cure(&self) -> Option<&'static str> {
        let refused = ["security context constraint", "must be in the ranges", "runAsUser: Invalid value"];
        refused.iter().any(|words| self.message.contains(words)).then_some(
            "--set worker.podSecurityContext.runAsUser=null,worker.podSecurityContext.runAsGroup=null leaves the user to \
             the cluster",
        )
    }

    /// A command that shows more.
    pub fn next_command(&self) -> String {
        let says = |words: &str| self.message.contains(words);
        match self.pods {
            0 if says("exceeded quota") || says("failed quota") => "kubectl describe quota".to_owned(),
            0 if says("limit range") || says("usage per") => "kubectl describe limitrange".to_owned(),
            0 if says("service account") => "kubectl get serviceaccounts".to_owned(),
            0 => format!("kubectl describe job {}", self.object),
            _ => format!("kubectl describe pod {}", self.object),
        }
    }
}

/// A reason and its message, as in `ErrImagePull: not found`.
pub fn joined(reason: &str, message: &str) -> String {
    let message = message.trim_end_matches('.');
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}
