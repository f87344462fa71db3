//! The Secret with the broker's credentials: made once, its login never overwritten, never printed.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::apply::Change;
use super::{Cluster, Error, FIELD_MANAGER};

/// Keys of the Secret, as the chart's templates read them.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const COOKIE: &str = "erlang-cookie";
const URL: &str = "url";

/// Characters of a generated password and cookie. Letters and digits alone need no escaping in a
/// URL; 40 of them carry 238 bits.
const GENERATED_LENGTH: usize = 40;

/// The user that a generated Secret names.
const GENERATED_USERNAME: &str = "workqueue";

/// The Secret that a release's broker and workers refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsSpec {
    /// The Secret's name.
    pub name: String,
    /// Labels to give it.
    pub labels: BTreeMap<String, String>,
    /// `amqp` or `amqps`, in the URL that workers read.
    pub scheme: String,
    /// Host and port of the client Service, in that URL.
    pub authority: String,
    /// Whether it may be made when it is missing; otherwise the user promised that it is there.
    pub generate: bool,
}

impl CredentialsSpec {
    fn manifest(&self) -> Value {
        let (password, cookie) = (random_text(), random_text());
        let url = format!("{}://{GENERATED_USERNAME}:{password}@{}/%2f", self.scheme, self.authority);
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "labels": self.labels},
            "type": "Opaque",
            "stringData": {USERNAME: GENERATED_USERNAME, PASSWORD: password, COOKIE: cookie, URL: url},
        })
    }
}

impl CredentialsSpec {
    /// The URL for a Secret that we made and whose URL leads to where the broker was before, such as
    /// its plain port. One that the user wrote is his.
    fn moved_url(&self, secret: &Secret) -> Option<String> {
        let text = |key| String::from_utf8(value(secret, key)?.to_vec()).ok();
        let (username, password, url) = (text(USERNAME)?, text(PASSWORD)?, text(URL)?);
        let login = format!("{username}:{password}");
        let (_, rest) = url.split_once("://")?;
        let (own_login, rest) = rest.rsplit_once('@')?;
        let (authority, virtual_host) = rest.split_once('/')?;
        let (host, _) = authority.split_once(':')?;
        let is_ours =
            own_login == login && virtual_host == "%2f" && self.authority.starts_with(&format!("{host}:"));
        let wanted = format!("{}://{login}@{}/%2f", self.scheme, self.authority);
        (self.generate && is_ours && url != wanted).then_some(wanted)
    }
}

fn random_text() -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(GENERATED_LENGTH).map(char::from).collect()
}

/// What there is of a Secret.
enum Found {
    Nothing,
    /// All that is needed.
    Fit,
    /// All that is needed, but the URL has to be this one.
    Moved(Box<Secret>, String),
}

impl Cluster {
    /// Makes the Secret if it is missing, and checks that an existing one has what is needed.
    ///
    /// # Errors
    /// [`Error::Secret`] when a Secret that the user named is missing or lacks a key, and as for
    /// every request.
    pub async fn ensure_credentials(&self, spec: &CredentialsSpec, dry_run: bool) -> Result<Change, Error> {
        match self.inspect(spec).await? {
            Found::Fit => Ok(Change::Unchanged),
            Found::Moved(_, url) => self.set_url(spec, &url, dry_run).await,
            Found::Nothing => match self.create(&spec.manifest(), dry_run).await {
                Ok(_) => Ok(Change::Created),
                // Somebody was faster; theirs is as good.
                Err(error) if error.is_already_exists() => Ok(Change::Unchanged),
                Err(error) => Err(error),
            },
        }
    }

    /// The Secret as it is and as [`Cluster::ensure_credentials`] would have it; `None` if it would
    /// change nothing. A password that is yet to be made is another one each time.
    ///
    /// # Errors
    /// As for [`Cluster::ensure_credentials`].
    pub async fn plan_credentials(
        &self,
        spec: &CredentialsSpec,
    ) -> Result<Option<(Option<Value>, Value)>, Error> {
        Ok(match self.inspect(spec).await? {
            Found::Fit => None,
            Found::Moved(secret, url) => {
                let mut moved = secret.clone();
                moved.data.get_or_insert_default().insert(URL.to_owned(), ByteString(url.into_bytes()));
                Some((Some(json!(secret)), json!(moved)))
            }
            Found::Nothing => Some((None, spec.manifest())),
        })
    }

    async fn inspect(&self, spec: &CredentialsSpec) -> Result<Found, Error> {
        let problem = |problem: String| Error::Secret { name: spec.name.clone(), problem };
        let Some(secret) = self.find_secret(&spec.name).await? else {
            let missing = || problem(format!("does not exist in namespace {:?}", self.namespace()));
            return if spec.generate { Ok(Found::Nothing) } else { Err(missing()) };
        };
        let keys = [USERNAME, PASSWORD, COOKIE, URL].into_iter();
        let missing: Vec<&str> = keys.filter(|key| value(&secret, key).is_none()).collect();
        if !missing.is_empty() {
            return Err(problem(format!("has no key {}", missing.join(", "))));
        }
        Ok(match spec.moved_url(&secret) {
            Some(url) => Found::Moved(Box::new(secret), url),
            None => Found::Fit,
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

    /// One value of a Secret, as text.
    ///
    /// # Errors
    /// [`Error::Secret`] when the Secret or the key is missing or no text, and as for every request.
    pub async fn secret_value(&self, name: &str, key: &str) -> Result<String, Error> {
        let missing = || format!("does not exist in namespace {:?} or has no key {key}", self.namespace());
        let found = self.find_secret_value(name, key).await?;
        found.ok_or_else(|| Error::Secret { name: name.to_owned(), problem: missing() })
    }

    /// One value of a Secret, as text; `None` when the Secret or the key is missing.
    ///
    /// # Errors
    /// [`Error::Secret`] when it is no text, and as for every request.
    pub async fn find_secret_value(&self, name: &str, key: &str) -> Result<Option<String>, Error> {
        let Some(secret) = self.find_secret(name).await? else { return Ok(None) };
        let Some(bytes) = value(&secret, key) else { return Ok(None) };
        let no_text =
            |_| Error::Secret { name: name.to_owned(), problem: format!("has a key {key} that is no text") };
        String::from_utf8(bytes.to_vec()).map(Some).map_err(no_text)
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

    #[test]
    fn generated_secrets_differ_and_their_url_needs_no_escaping() {
        let spec = CredentialsSpec {
            name: "s".to_owned(),
            labels: BTreeMap::new(),
            scheme: "amqp".to_owned(),
            authority: "broker:5672".to_owned(),
            generate: true,
        };
        let (first, second) = (spec.manifest(), spec.manifest());
        assert_ne!(first["stringData"][PASSWORD], second["stringData"][PASSWORD]);
        let password = first["stringData"][PASSWORD].as_str().expect("text");
        assert!(password.len() == 40 && password.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(first["stringData"][URL], format!("amqp://workqueue:{password}@broker:5672/%2f"));
    }

    #[test]
    fn a_url_of_ours_follows_the_broker_and_no_other_does() {
        let secret = |url: &str| -> Secret {
            serde_json::from_value(json!({"data": {
                "username": encoded("u"), "password": encoded("p"), "url": encoded(url),
            }}))
            .expect("a Secret")
        };
        let spec = CredentialsSpec {
            name: "s".to_owned(),
            labels: BTreeMap::new(),
            scheme: "amqps".to_owned(),
            authority: "broker:5671".to_owned(),
            generate: true,
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
