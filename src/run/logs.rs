//! Prints the logs of a run's pods as they are now. [`follow`](crate::run::follow) follows them.

use std::future::Future;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::cluster::log_selection::LogSelection;
use crate::cluster::pod_event::PodEvent;
use crate::error::Error;
use crate::notice::{Notice, Observer, Warning};

/// Passes the existing log lines of a run's pods to the observer, pod by pod.
pub async fn logs(
    cluster: &Cluster,
    job: &JobState,
    selection: &LogSelection,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<(), Error> {
    let selector = job.pod_selector();
    let printing = cluster.print_logs(&selector, selection, |event| match event {
        PodEvent::Line(line) => observer.on(Notice::LogLine(&line)),
        PodEvent::Incomplete { pod, reason } => {
            observer.warn(Warning::LogIncomplete { pod: &pod, reason: &reason });
        }
        PodEvent::Pod(_) | PodEvent::Gone(_) => {}
    });
    tokio::select! {
        result = printing => Ok(result?),
        () = interrupt => Ok(()),
    }
}
