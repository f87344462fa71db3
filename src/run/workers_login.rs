//! The login of a run's workers: a token that the broker takes for a password, and that opens the run's own
//! queue alone. Whoever runs can make one for any queue, so that nobody has to tell the broker of it.
//!
//! It is a JSON Web Token as RabbitMQ's OAuth 2.0 plugin reads it, with a key that the broker and the user
//! who runs share: <https://www.rabbitmq.com/docs/oauth2#scope-translation>.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cluster::Cluster;
use crate::cluster::broker_users::WorkersUser;
use crate::error::Error;
use workqueue_core::names::{QueueName, ReleaseName};

/// The broker's name for itself in tokens, and for the key: see `prepare.sh` in the chart.
const AUDIENCE: &str = "workqueue";
const KEY_ID: &str = "workers";

/// The user in the URL. The broker knows users with tokens by the token alone.
const USERNAME: &str = "token";

/// When tokens end, in seconds since 1970: with the year 2099. A run may take long, and newer brokers refuse
/// tokens without an end.
const EXPIRY: u64 = 4_102_444_800;

/// Where the workers of a run find the URL of their broker.
#[derive(Debug)]
pub(crate) struct WorkersLogin {
    /// The name of the Secret; its key is `url`.
    pub secret: String,
    /// The Secret itself, if there is one for each queue.
    manifest: Option<Value>,
}

impl WorkersLogin {
    /// The login for the workers of a queue; `None` if the chart's own is right.
    ///
    /// # Errors
    /// What the cluster refuses, such as reading the Secret of the user who runs.
    pub(crate) async fn find(
        cluster: &Cluster,
        release: &ReleaseName,
        queue: &QueueName,
    ) -> Result<Option<Self>, Error> {
        Ok(match cluster.workers_user(release).await? {
            None => None,
            Some(WorkersUser::Shared { secret }) => Some(Self { secret, manifest: None }),
            Some(WorkersUser::Token { key, url }) => Some(Self::with_token(release, queue, &key, &url)),
        })
    }

    fn with_token(release: &ReleaseName, queue: &QueueName, key: &str, url: &str) -> Self {
        let token = token(queue, key);
        let digest = Sha256::digest(format!("{url} {token}"));
        let digest = digest.iter().take(5).fold(String::new(), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        });
        // By its content: the same queue gets the same Secret, and a new key another one.
        let secret = format!("{release}-{}-workers-{digest}", queue.slug());
        let labels: serde_json::Map<String, Value> = release
            .component_labels("worker")
            .into_iter()
            .map(|(label, value)| (label.to_owned(), json!(value)))
            .collect();
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret, "labels": labels},
            "type": "Opaque",
            "stringData": {"url": with_login(url, &token)},
        });
        Self { secret, manifest: Some(manifest) }
    }

    /// Stores the Secret, unless it is there. Nothing is read or changed for that.
    ///
    /// # Errors
    /// What the cluster refuses.
    pub(crate) async fn store(&self, cluster: &Cluster) -> Result<(), Error> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        match cluster.create(manifest, false).await {
            Err(error) if !error.is_already_exists() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A broker's URL with another login.
fn with_login(url: &str, token: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("amqp", url));
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    format!("{scheme}://{USERNAME}:{token}@{address}")
}

/// Lets workers take the items of a queue, look at what belongs to it, and publish through its exchange.
///
/// From RabbitMQ 4.2.7 and 4.3.1 on, nobody sees whether a queue exists without some permission on it. Writing
/// is the one that has no other effect on a queue: what is published goes through exchanges.
fn scopes(queue: &QueueName) -> Vec<String> {
    // As patterns, in which only a star has a meaning.
    let name = percent_encoded(queue.as_str());
    let readable = ["", ".failed", ".starts", ".ledger.*", ".outcomes.*"];
    let mut scopes: Vec<String> =
        readable.iter().map(|suffix| format!("{AUDIENCE}.read:%2F/{name}{suffix}")).collect();
    let seen = [".results", ".input.*"].map(|suffix| format!("{name}{suffix}"));
    let written = [percent_encoded(&queue.workers_exchange())].into_iter().chain(seen);
    scopes.extend(written.map(|name| format!("{AUDIENCE}.write:%2F/{name}")));
    scopes
}

fn percent_encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte.into()),
            _ => _ = write!(text, "%{byte:02X}"),
        }
        text
    })
}

fn token(queue: &QueueName, key: &str) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": KEY_ID});
    let subject = format!("workers of {queue}");
    let claims = json!({"aud": [AUDIENCE], "sub": subject, "exp": EXPIRY, "scope": scopes(queue)});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueName {
        name.parse().expect("legal")
    }

    #[test]
    fn a_token_opens_one_queue_whatever_its_name() {
        let scopes = scopes(&queue("a*/b"));
        assert_eq!(scopes[0], "workqueue.read:%2F/a%2A%2Fb");
        assert!(scopes.contains(&"workqueue.read:%2F/a%2A%2Fb.ledger.*".to_owned()));
        let write: Vec<_> = scopes.iter().filter(|scope| scope.contains("write")).collect();
        let expected =
            ["workers", "results", "input.*"].map(|name| format!("workqueue.write:%2F/a%2A%2Fb.{name}"));
        assert!(write.into_iter().eq(&expected), "{scopes:?}");
        assert!(!scopes.iter().any(|scope| scope.contains("configure") || scope.contains("tag")));
    }

    #[test]
    fn a_queue_has_the_same_secret_until_the_key_changes() {
        let release = "r1".parse().expect("legal");
        let secret = |name: &str, key: &str| {
            let login = WorkersLogin::with_token(&release, &queue(name), key, "amqp://run:p@b:5672/%2f");
            (login.secret, login.manifest.expect("one for the queue"))
        };
        let (name, manifest) = secret("job1", "k1");
        assert_eq!(secret("job1", "k1").0, name);
        assert!(name.starts_with("r1-job1-workers-"), "{name}");
        assert!(name != secret("job2", "k1").0 && name != secret("job1", "k2").0);
        let url = manifest["stringData"]["url"].as_str().expect("a text");
        assert!(url.starts_with("amqp://token:ey") && url.ends_with("@b:5672/%2f"), "{url}");
        assert!(!url.contains("run:p"), "the login of the user who runs is in it: {url}");
    }
}
