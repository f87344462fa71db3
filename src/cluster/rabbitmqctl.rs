//! Runs `rabbitmqctl` in a broker pod, for what the broker does not tell over AMQP: its queues, its
//! feature flags, its disk.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::{Cluster, Error};

/// Timeout of the tool, which is slow if the broker has little CPU.
const TOOL_TIMEOUT: Duration = Duration::from_secs(10);

/// A queue as the tool lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedQueue {
    pub name: String,
    pub is_stream: bool,
    /// Messages, including unacked ones. Lags by seconds.
    pub messages: u64,
    /// Messages that consumers hold. Lags by seconds.
    pub unacked: u64,
}

impl ListedQueue {
    fn read(queue: &Value) -> Option<Self> {
        Some(Self {
            name: queue["name"].as_str()?.to_owned(),
            is_stream: queue["type"].as_str()?.contains("stream"),
            messages: queue["messages"].as_u64().unwrap_or(0),
            unacked: queue["messages_unacknowledged"].as_u64().unwrap_or(0),
        })
    }
}

/// The disk of a broker, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerDisk {
    pub free: u64,
    /// With less than this, the broker takes no more messages.
    pub limit: u64,
}

impl BrokerDisk {
    fn read(status: &Value) -> Option<Self> {
        Some(Self { free: status["disk_free"].as_u64()?, limit: status["disk_free_limit"].as_u64()? })
    }
}

/// A feature flag that is not enabled.
fn disabled_flag(flag: &Value) -> Option<String> {
    let is = |field: &str, value: &str| flag[field].as_str() == Some(value);
    (is("state", "disabled") && !is("stability", "experimental")).then_some(())?;
    flag["name"].as_str().map(str::to_owned)
}

impl Cluster {
    /// The disk of the broker in a pod. Requires permission to `create` `pods/exec`.
    ///
    /// # Errors
    /// The permission is missing, or the tool fails. A broker does not know its disk for the first
    /// seconds, and on some systems never.
    pub async fn broker_disk(&self, pod: &str) -> Result<BrokerDisk, Error> {
        let output = self.exec(pod, ["rabbitmqctl", "--quiet", "status", "--formatter", "json"]).await?;
        let status: Value = serde_json::from_str(&output).unwrap_or_default();
        let unknown = || Error::Api {
            what: format!("asking pod {pod} for the broker's disk"),
            message: "the broker does not know it".to_owned(),
            code: None,
        };
        BrokerDisk::read(&status).ok_or_else(unknown)
    }

    /// The stable feature flags that are not enabled on the broker in a pod. Requires permission to
    /// `create` `pods/exec`.
    ///
    /// # Errors
    /// The permission is missing, or the tool fails.
    pub async fn disabled_feature_flags(&self, pod: &str) -> Result<Vec<String>, Error> {
        let command = [
            "rabbitmqctl",
            "--quiet",
            "list_feature_flags",
            "name",
            "state",
            "stability",
            "--formatter",
            "json",
        ];
        let output = self.exec(pod, command).await?;
        Ok(read_list(&output, "feature flags")?.iter().filter_map(disabled_flag).collect())
    }

    /// All queues of the broker in a pod. Requires permission to `create` `pods/exec`.
    ///
    /// # Errors
    /// The permission is missing, or the tool fails.
    pub async fn broker_queues(&self, pod: &str) -> Result<Vec<ListedQueue>, Error> {
        const COLUMNS: &str = "name,type,messages,messages_unacknowledged";
        let command = ["rabbitmqctl", "--quiet", "list_queues", "--formatter", "json", COLUMNS];
        let output = self.exec(pod, command).await?;
        Ok(read_list(&output, "queues")?.iter().filter_map(ListedQueue::read).collect())
    }

    /// Runs a program in a pod with [`TOOL_TIMEOUT`], and returns its standard output.
    pub(super) async fn exec<const N: usize>(&self, pod: &str, command: [&str; N]) -> Result<String, Error> {
        let running = tokio::time::timeout(TOOL_TIMEOUT, self.run_in(pod, command)).await;
        running.unwrap_or_else(|_| {
            let what = format!("running {} in pod {pod}", command[0]);
            let message = format!("it took more than {} s", TOOL_TIMEOUT.as_secs());
            Err(Error::Api { what, message, code: None })
        })
    }

    async fn run_in<const N: usize>(&self, pod: &str, command: [&str; N]) -> Result<String, Error> {
        let params = AttachParams::default().stderr(false);
        let what = format!("running {} in pod {pod}", command[0]);
        let api = self.api::<Pod>();
        let mut process = self.call(&what, api.exec(pod, command, &params)).await?;
        let failed = |message: String| Error::Api { what: what.clone(), message, code: None };
        let mut output = String::new();
        if let Some(mut stdout) = process.stdout() {
            stdout.read_to_string(&mut output).await.map_err(|error| failed(error.to_string()))?;
        }
        let status = match process.take_status() {
            Some(status) => status.await,
            None => None,
        };
        match status {
            Some(status) if status.status.as_deref() != Some("Success") => {
                Err(failed(status.message.unwrap_or_default()))
            }
            _ => Ok(output),
        }
    }
}

/// Reads a list that the tool printed.
fn read_list(output: &str, what: &str) -> Result<Vec<Value>, Error> {
    serde_json::from_str(output).map_err(|error| Error::Api {
        what: format!("listing {what}"),
        message: error.to_string(),
        code: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_disk_that_the_broker_does_not_know_is_not_read() {
        let status = json!({"disk_free": 41_875_931_136_u64, "disk_free_limit": 50_000_000});
        assert_eq!(BrokerDisk::read(&status).map(|disk| disk.limit), Some(50_000_000));
        assert_eq!(BrokerDisk::read(&json!({"disk_free": "NaN", "disk_free_limit": 50_000_000})), None);
    }

    #[test]
    fn only_stable_feature_flags_have_to_be_enabled() {
        let flag = |state: &str, stability: &str| {
            disabled_flag(&json!({"name": "f", "state": state, "stability": stability}))
        };
        assert_eq!(flag("disabled", "stable").as_deref(), Some("f"));
        assert_eq!(flag("enabled", "stable"), None);
        assert_eq!(flag("disabled", "experimental"), None);
    }

    #[test]
    fn a_queue_without_counts_is_still_a_queue() {
        // The tool leaves counts empty while a queue starts.
        let starting = json!({"name": "q", "type": "quorum", "messages": "", "messages_unacknowledged": ""});
        let queue = ListedQueue { name: "q".to_owned(), is_stream: false, messages: 0, unacked: 0 };
        assert_eq!(ListedQueue::read(&starting), Some(queue));
        assert!(
            ListedQueue::read(&json!({"name": "s", "type": "stream"})).is_some_and(|queue| queue.is_stream)
        );
    }
}
