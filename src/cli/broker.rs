//! Flags for brokers, the release's own and others, and for queues in them.

use std::path::PathBuf;

use clap::Args;

use super::flags::{ClusterFlags, Output, QueueFlags};
use crate::error::Error;
use crate::queue::connection::BrokerTarget;
use crate::ui::failure::Failure;
use workqueue_amqp::Endpoint;
use workqueue_core::names::QueueName;

/// The variable with a broker's URL: unlike an argument, other users of the machine cannot see it.
const URL_VARIABLE: &str = "WORKQUEUE_BROKER_URL";

/// The key of a Secret that is asked for when none is named.
const DEFAULT_KEY: &str = "url";

/// The heading of the flags in the help; see `flags.rs` for why each names it.
const BROKER: &str = "Broker";

/// Which broker.
#[derive(Debug, Args)]
pub struct BrokerFlags {
    /// Use the broker at amqp(s)://USER:PASSWORD@HOST[:PORT][/VHOST], without a tunnel, instead of
    /// the release's [env: WORKQUEUE_BROKER_URL]
    #[arg(help_heading = BROKER, long, value_name = "URL", conflicts_with = "broker_secret")]
    broker_url: Option<String>,
    /// Use the broker whose URL is in this Secret of the namespace, under the key `url` unless
    /// another one is named
    #[arg(help_heading = BROKER, long, value_name = "NAME[/KEY]")]
    broker_secret: Option<String>,
    /// Trust the certificates in this PEM file, beside the system's
    #[arg(help_heading = BROKER, long, value_name = "FILE")]
    broker_ca: Option<PathBuf>,
}

impl BrokerFlags {
    /// The way to the broker.
    pub async fn reach(&self, cluster: &ClusterFlags) -> Result<BrokerTarget, Failure> {
        let authorities = self.authorities()?;
        let url = match (&self.broker_url, &self.broker_secret) {
            (Some(url), _) => url.clone(),
            (None, Some(secret)) => {
                let (name, key) = secret.split_once('/').unwrap_or((secret, DEFAULT_KEY));
                cluster.connect().await?.secret_value(name, key).await.map_err(Error::from)?
            }
            (None, None) => match std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty()) {
                Some(url) => url,
                None => return Ok(BrokerTarget::Release(cluster.connect().await?, cluster.release.clone())),
            },
        };
        let endpoint = Endpoint::parse(&url, authorities).map_err(Error::from)?;
        Ok(BrokerTarget::Direct(endpoint))
    }

    fn authorities(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.broker_ca else { return Ok(None) };
        let text = std::fs::read_to_string(path);
        text.map(Some).map_err(|source| Error::Read { path: path.display().to_string(), source }.into())
    }
}

/// Which queue, in which broker, and the form of the report.
#[derive(Debug, Args)]
pub struct BrokerQueueFlags {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    broker: BrokerFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
}

impl BrokerQueueFlags {
    /// The way to the broker, and the queue.
    pub async fn reach(&self) -> Result<(BrokerTarget, &QueueName), Failure> {
        Ok((self.broker.reach(&self.cluster).await?, &self.queue.queue))
    }
}
