//! The Secrets with the broker's users, and with the cookie of its nodes. Each is created once; user and
//! password are never overwritten and never printed.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::apply::Change;
use super::{Cluster, Error, FIELD_MANAGER};

/// The keys of the Secrets that the chart's templates read.
pub(super) const USERNAME: &str = "username";
pub(super) const PASSWORD: &str = "password";
const COOKIE: &str = "erlang-cookie";
pub(super) const URL: &str = "url";
/// The key by which the broker recognizes the tokens of workers.
pub(super) const TOKEN_KEY: &str = "token-key";

/// Length of a generated password or cookie. Letters and digits need no escaping in a URL, and 40
/// random ones have 238 bits.
const GENERATED_LENGTH: usize = 40;

/// A Secret that a release's broker refers to, and its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsSpec {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Whether to create the Secret if it is missing. If false, the user has named an existing one.
    pub generate: bool,
    pub holds: Holds,
}

/// What a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    User {
        /// The user's name in a generated Secret.
        username: String,
        /// `amqp` or `amqps`, for the URL that workers read.
        scheme: String,
        /// Host and port of the client Service, for that URL.
        authority: String,
        /// Whether somebody reads the URL.
        needs_url: bool,
        /// Whether the user makes tokens for workers.
        makes_tokens: bool,
    },
    Cookie {
        /// The Secret that held the cookie in earlier versions. Brokers that are restarted one by one
        /// keep that, or they would not understand each other.
        keep_from: Option<String>,
    },
}

impl Holds {
    fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::User { needs_url: true, .. } => &[USERNAME, PASSWORD, URL],
            Self::User { .. } => &[USERNAME, PASSWORD],
            Self::Cookie { .. } => &[COOKIE],
        }
    }
}

impl CredentialsSpec {
    /// The generated Secret. A cookie that is kept replaces the random one.
    fn manifest(&self, cookie: Option<String>) -> Value {
        let data = match &self.holds {
            Holds::User { username, scheme, authority, makes_tokens, .. } => {
                let password = random_text();
                let url = format!("{scheme}://{username}:{password}@{authority}/%2f");
                let mut data = json!({USERNAME: username, PASSWORD: password, URL: url});
                if *makes_tokens {
                    data[TOKEN_KEY] = json!(random_text());
                }
                data
            }
            Holds::Cookie { .. } => json!({COOKIE: cookie.unwrap_or_else(random_text)}),
        };
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "labels": self.labels},
            "type": "Opaque",
            "stringData": data,
        })
    }

    /// The new URL for a Secret that we created, if its URL is out of date, for example because it has
    /// the plaintext port. `None` if it is current, or if the user wrote it.
    fn moved_url(&self, secret: &Secret) -> Option<String> {
        let Holds::User { scheme, authority, .. } = &self.holds else { return None };
        let text = |key| String::from_utf8(value(secret, key)?.to_vec()).ok();
        let (username, password, url) = (text(USERNAME)?, text(PASSWORD)?, text(URL)?);
        let login = format!("{username}:{password}");
        let (_, rest) = url.split_once("://")?;
        let (own_login, rest) = rest.rsplit_once('@')?;
        let (own_authority, virtual_host) = rest.split_once('/')?;
        let (host, _) = own_authority.split_once(':')?;
        let is_ours =
            own_login == login && virtual_host == "%2f" && authority.starts_with(&format!("{host}:"));
        let wanted = format!("{scheme}://{login}@{authority}/%2f");
        (self.generate && is_ours && url != wanted).then_some(wanted)
    }
}

fn random_text() -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(GENERATED_LENGTH).map(char::from).collect()
}

/// What is known about an existing Secret.
enum Found {
    Missing,
    Complete,
    /// The Secret is complete, but needs this URL.
    Outdated(Box<Secret>, String),
}

impl Cluster {
    /// Creates the Secret if it is missing. Checks that an existing one is complete, and updates its
    /// URL.
    ///
    /// # Errors
    /// [`Error::Secret`] if a Secret that the user named is missing or lacks a key.
    pub async fn ensure_credentials(&self, spec: &CredentialsSpec, dry_run: bool) -> Result<Change, Error> {
        match self.inspect(spec).await? {
            Found::Complete => Ok(Change::Unchanged),
            Found::Outdated(_, url) => self.set_url(spec, &url, dry_run).await,
            Found::Missing => match self.create(&self.generated(spec).await?, dry_run).await {
                Ok(_) => Ok(Change::Created),
                // Somebody else has just created it; theirs is as good.
                Err(error) if error.is_already_exists() => Ok(Change::Unchanged),
                Err(error) => Err(error),
            },
        }
    }

    /// The Secret before and after [`Cluster::ensure_credentials`]; `None` if nothing would change.
    /// Each call generates a new password for a Secret that does not exist yet.
    ///
    /// # Errors
    /// As for [`Cluster::ensure_credentials`].
    pub async fn plan_credentials(
        &self,
        spec: &CredentialsSpec,
    ) -> Result<Option<(Option<Value>, Value)>, Error> {
        Ok(match self.inspect(spec).await? {
            Found::Complete => None,
            Found::Outdated(secret, url) => {
                let mut moved = secret.clone();
                moved.data.get_or_insert_default().insert(URL.to_owned(), ByteString(url.into_bytes()));
                Some((Some(json!(secret)), json!(moved)))
            }
            Found::Missing => Some((None, self.generated(spec).await?)),
        })
    }

    async fn generated(&self, spec: &CredentialsSpec) -> Result<Value, Error> {
        let cookie = match &spec.holds {
            Holds::Cookie { keep_from: Some(earlier) } => self.find_secret_value(earlier, COOKIE).await?,
            _ => None,
        };
        Ok(spec.manifest(cookie))
    }

    async fn inspect(&self, spec: &CredentialsSpec) -> Result<Found, Error> {
        let problem = |problem: String| Error::Secret { name: spec.name.clone(), problem };
        let Some(secret) = self.find_secret(&spec.name).await? else {
            let missing = || problem(format!("does not exist in namespace {:?}", self.namespace()));
            return if spec.generate { Ok(Found::Missing) } else { Err(missing()) };
        };
        let keys = spec.holds.keys().iter().copied();
        let missing: Vec<&str> = keys.filter(|key| value(&secret, key).is_none()).collect();
        if !missing.is_empty() {
            return Err(problem(format!("has no key {}", missing.join(", "))));
        }
        Ok(match spec.moved_url(&secret) {
            Some(url) => Found::Outdated(Box::new(secret), url),
            None => Found::Complete,
        })
    }

    async fn set_url(&self, spec: &CredentialsSpec, url: &str, dry_run: bool) -> Result<Change, Error> {
        let patch = Patch::Merge(json!({"stringData": {URL: url}}));
        let params =
            PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api::<Secret>();
        self.call(format!("changing secret/{}", spec.name), api.patch(&spec.name, &params, &patch)).await?;
        Ok(Change::Configured)
    }

    /// A value of a Secret, as text.
    ///
    /// # Errors
    /// [`Error::Secret`] if the Secret or the key is missing, or the value is not text.
    pub async fn secret_value(&self, name: &str, key: &str) -> Result<String, Error> {
        let missing = || format!("does not exist in namespace {:?} or has no key {key}", self.namespace());
        let found = self.find_secret_value(name, key).await?;
        if found.is_none() {
            self.require_namespace().await?;
        }
        found.ok_or_else(|| Error::Secret { name: name.to_owned(), problem: missing() })
    }

    /// A value of a Secret, as text; `None` if the Secret or the key is missing.
    ///
    /// # Errors
    /// [`Error::Secret`] if the value is not text.
    pub async fn find_secret_value(&self, name: &str, key: &str) -> Result<Option<String>, Error> {
        let Some(secret) = self.find_secret(name).await? else { return Ok(None) };
        let Some(bytes) = value(&secret, key) else { return Ok(None) };
        let not_text =
            |_| Error::Secret { name: name.to_owned(), problem: format!("has a key {key} that is not text") };
        String::from_utf8(bytes.to_vec()).map(Some).map_err(not_text)
    }

    async fn find_secret(&self, name: &str) -> Result<Option<Secret>, Error> {
        self.call(format!("reading secret/{name}"), self.api::<Secret>().get_opt(name)).await
    }
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|value| value.0.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(scheme: &str, authority: &str) -> Holds {
        let (username, scheme, authority) = ("workqueue".to_owned(), scheme.to_owned(), authority.to_owned());
        Holds::User { username, scheme, authority, needs_url: true, makes_tokens: false }
    }

    #[test]
    fn a_cookie_is_random_unless_brokers_share_an_earlier_one() {
        let holds = Holds::Cookie { keep_from: None };
        let spec = CredentialsSpec { name: "s".to_owned(), labels: BTreeMap::new(), generate: true, holds };
        let cookie = |kept: Option<&str>| spec.manifest(kept.map(str::to_owned))["stringData"].clone();
        assert_ne!(cookie(None), cookie(None));
        assert_eq!(cookie(Some("old")), json!({COOKIE: "old"}));
    }

    #[test]
    fn generated_secrets_differ_and_their_url_needs_no_escaping() {
        let spec = CredentialsSpec {
            name: "s".to_owned(),
            labels: BTreeMap::new(),
            generate: true,
            holds: user("amqp", "broker:5672"),
        };
        let (first, second) = (spec.manifest(None), spec.manifest(None));
        assert_ne!(first["stringData"][PASSWORD], second["stringData"][PASSWORD]);
        let password = first["stringData"][PASSWORD].as_str().expect("text");
        assert!(password.len() == 40 && password.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(first["stringData"][URL], format!("amqp://workqueue:{password}@broker:5672/%2f"));
    }

    #[test]
    fn our_own_url_follows_the_broker_and_no_other_does() {
        let secret = |url: &str| -> Secret {
            serde_json::from_value(json!({"data": {
                "username": encoded("u"), "password": encoded("p"), "url": encoded(url),
            }}))
            .expect("a Secret")
        };
        let spec = CredentialsSpec {
            name: "s".to_owned(),
            labels: BTreeMap::new(),
            generate: true,
            holds: user("amqps", "broker:5671"),
        };
        let moved = spec.moved_url(&secret("amqp://u:p@broker:5672/%2f"));
        assert_eq!(moved.as_deref(), Some("amqps://u:p@broker:5671/%2f"));
        for other in [
            "amqps://u:p@broker:5671/%2f",
            "amqp://u:p@elsewhere:5672/%2f",
            "amqp://u:p@broker:5672/jobs",
            "amqp://other:p@broker:5672/%2f",
            "no URL",
        ] {
            assert_eq!(spec.moved_url(&secret(other)), None, "{other}");
        }
        let named = CredentialsSpec { generate: false, ..spec };
        assert_eq!(named.moved_url(&secret("amqp://u:p@broker:5672/%2f")), None);
    }

    fn encoded(text: &str) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    }
}
