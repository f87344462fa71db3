//! Why pods are not ready: their states, last events and last log lines.

use std::fmt;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};

use super::Cluster;
use super::pod_state::{is_ready, main_status, pod_state, with_message};

/// Events to show per pod.
const LAST_EVENTS: usize = 4;

/// Log lines to read per pod.
const READ_LINES: i64 = 300;

/// Log lines to show from the first complaint on. RabbitMQ reports why it cannot start, and then
/// prints one or two screens of other lines.
const COMPLAINT_LINES: usize = 10;

/// Log lines to show from the end.
const LAST_LINES: usize = 15;

/// Words with which programs report a problem, in lower case.
const COMPLAINTS: [&str; 6] = ["error", "fail", "fatal", "panic", "exception", "denied"];

/// Why pods are not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Empty if the controller has created no pod yet.
    pub pods: Vec<PodDiagnosis>,
    /// Why the controller could not create a pod, if it has said so.
    pub controller: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDiagnosis {
    pub name: String,
    /// The state, as `kubectl get pods` shows it, and its message.
    pub state: String,
    /// The last events, oldest first.
    pub events: Vec<String>,
    /// The log lines from the first complaint on, and the last lines.
    pub log: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pods.is_empty() {
            let why = self.controller.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            return write!(f, "it has no pods yet{why}");
        }
        for (number, pod) in self.pods.iter().enumerate() {
            let newline = if number > 0 { "\n" } else { "" };
            write!(f, "{newline}pod {}: {}", pod.name, pod.state)?;
            pod.events.iter().try_for_each(|event| write!(f, "\n  event: {event}"))?;
            pod.log.iter().try_for_each(|line| write!(f, "\n  log: {line}"))?;
        }
        Ok(())
    }
}

impl Cluster {
    /// Collects the states, events and logs of the pods that match `selector` and are not ready.
    ///
    /// Never fails, since the caller is about to report an error of its own: events and logs that
    /// cannot be read are left out.
    pub async fn diagnose(&self, selector: &str) -> Diagnosis {
        let list = ListParams::default().labels(selector);
        let pods = self.call("listing pods", self.api::<Pod>().list(&list)).await;
        let mut diagnosis = Diagnosis::default();
        for pod in pods.into_iter().flatten().filter(|pod| !is_ready(pod)) {
            diagnosis.pods.push(self.diagnose_pod(&pod).await);
        }
        diagnosis
    }

    async fn diagnose_pod(&self, pod: &Pod) -> PodDiagnosis {
        let name = pod.name_any();
        let (events, log) = tokio::join!(self.last_events(&name), self.log_excerpt(&name, pod));
        PodDiagnosis { state: pod_state(pod), events, log, name }
    }

    async fn last_events(&self, pod: &str) -> Vec<String> {
        let of_pod =
            ListParams::default().fields(&format!("involvedObject.kind=Pod,involvedObject.name={pod}"));
        let events = self.call("listing events", self.api::<Event>().list(&of_pod)).await;
        let mut events: Vec<Event> = events.into_iter().flatten().collect();
        let time = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
        events.sort_by_key(time);
        let first = events.len().saturating_sub(LAST_EVENTS);
        let text = |event: &Event| {
            let reason = event.reason.as_deref().unwrap_or("Event");
            with_message(reason, event.message.as_deref())
        };
        events[first..].iter().filter_map(text).collect()
    }

    async fn log_excerpt(&self, name: &str, pod: &Pod) -> Vec<String> {
        let Some(status) = main_status(pod) else { return Vec::new() };
        let running = status.state.as_ref().is_some_and(|state| state.waiting.is_none());
        let params = LogParams {
            container: Some(status.name.clone()),
            tail_lines: Some(READ_LINES),
            // Between restarts, only the previous container has a log.
            previous: !running && status.restart_count > 0,
            ..LogParams::default()
        };
        if !running && status.restart_count == 0 {
            return Vec::new();
        }
        let log = self.call("reading a log", self.api::<Pod>().logs(name, &params)).await;
        log.map(|log| relevant_lines(&log)).unwrap_or_default()
    }
}

/// The lines that show why a program failed: those from the first complaint on, which is usually the
/// cause of all others, and the last lines.
fn relevant_lines(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let complains = |line: &&str| {
        let line = line.to_lowercase();
        COMPLAINTS.iter().any(|word| line.contains(word))
    };
    let end = lines.len().saturating_sub(LAST_LINES);
    let first = lines.iter().position(complains).unwrap_or(end).min(end);
    let shown = match end.saturating_sub(first) {
        0..=COMPLAINT_LINES => lines[first..].to_vec(),
        _ => [&lines[first..first + COMPLAINT_LINES], &["…"], &lines[end..]].concat(),
    };
    shown.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_complaint_and_the_end_are_shown() {
        let line = |number: u32| match number {
            20 => "[error] no setting named nonsense".to_owned(),
            21.. => format!("error {number}"),
            _ => format!("line {number}"),
        };
        let log = |count| (1..=count).map(|number| line(number) + "\n\n").collect::<String>();
        assert_eq!(relevant_lines(&log(3)), ["line 1", "line 2", "line 3"]);
        assert_eq!(relevant_lines(&log(19)).first().map(String::as_str), Some("line 5"));
        let middling = relevant_lines(&log(40));
        assert_eq!((middling.len(), middling[0].as_str()), (21, "[error] no setting named nonsense"));
        let long = relevant_lines(&log(100));
        assert_eq!(long.len(), COMPLAINT_LINES + 1 + LAST_LINES);
        assert_eq!(
            [&long[0], &long[9], &long[10], &long[11]],
            ["[error] no setting named nonsense", "error 29", "…", "error 86"]
        );
    }
}
