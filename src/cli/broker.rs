//! Flags for brokers, the one of a release or another, and for their queues.

use std::path::PathBuf;

use clap::Args;

use super::flags::{ClusterFlags, OutputFlags, QueueFlags};
use crate::candidates::with_queues;
use crate::error::Error;
use crate::queue::connection::BrokerTarget;
use crate::ui::failure::Failure;
use workqueue_amqp::Endpoint;
use workqueue_core::names::QueueName;

/// The variable with a broker's URL. Other users of the machine can see arguments, but not this.
const URL_VARIABLE: &str = "WORKQUEUE_BROKER_URL";

/// The key in the Secret if none is named.
const DEFAULT_KEY: &str = "url";

/// The heading of the flags in the help; `flags.rs` says why each flag names it.
const BROKER: &str = "Broker";

#[derive(Debug, Args)]
pub struct BrokerFlags {
    /// Use the broker at amqp(s)://USER:PASSWORD@HOST[:PORT][/VHOST], without a tunnel, instead of
    /// the broker of the release [env: WORKQUEUE_BROKER_URL]
    #[arg(help_heading = BROKER, long, value_name = "URL", conflicts_with = "broker_secret")]
    broker_url: Option<String>,
    /// Use the broker whose URL is in this Secret of the namespace (default key: url)
    #[arg(help_heading = BROKER, long, value_name = "NAME[/KEY]")]
    broker_secret: Option<String>,
    /// Trust the certificates in this PEM file as well as those of the system
    #[arg(help_heading = BROKER, long, value_name = "FILE")]
    broker_ca: Option<PathBuf>,
}

impl BrokerFlags {
    /// How to reach the broker: at its address, or through a tunnel to the release.
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

/// Which queue of which broker, and the format of the report.
#[derive(Debug, Args)]
pub struct BrokerQueueFlags {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    broker: BrokerFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

impl BrokerQueueFlags {
    /// What came of an operation; the error about a missing queue names those that there are.
    pub async fn named<T>(&self, target: &BrokerTarget, result: Result<T, Error>) -> Result<T, Failure> {
        match result {
            Ok(done) => Ok(done),
            Err(error) => Err(with_queues(target, error).await.into()),
        }
    }

    /// How to reach the broker, and which queue is meant.
    pub async fn reach(&self) -> Result<(BrokerTarget, &QueueName), Failure> {
        Ok((self.broker.reach(&self.cluster).await?, &self.queue.queue))
    }
}
