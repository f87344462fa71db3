//! Which user the workers of a release log in as.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::ListParams;

use super::broker_pod::secret_annotation;
use super::secret::{TOKEN_KEY, URL};
use super::{Cluster, Error};
use workqueue_core::names::ReleaseName;

/// The user of the workers of a release.
#[derive(Debug)]
pub enum WorkersUser {
    /// All of them have the URL in this Secret.
    Shared { secret: String },
    /// Those of each queue have a token, signed with this key. `url` leads to the broker with another login.
    Token { key: String, url: String },
}

impl Cluster {
    /// The user of the workers of a release; `None` if its chart names none, or it has no broker of its own.
    ///
    /// # Errors
    /// What the cluster refuses, such as reading the Secret with the key.
    pub async fn workers_user(&self, release: &ReleaseName) -> Result<Option<WorkersUser>, Error> {
        let list = ListParams::default().labels(&release.component_selector("broker"));
        let sets = self.call("listing statefulsets", self.api::<StatefulSet>().list(&list)).await?;
        let Some(template) = sets.items.into_iter().find_map(|set| Some(set.spec?.template)) else {
            return Ok(None);
        };
        let annotations = template.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        let named = |name: &str| annotations.get(&secret_annotation(name)).cloned();
        if let Some(secret) = named("token") {
            let (key, url) = tokio::try_join!(
                self.find_secret_value(&secret, TOKEN_KEY),
                self.find_secret_value(&secret, URL)
            )?;
            if let (Some(key), Some(url)) = (key, url) {
                return Ok(Some(WorkersUser::Token { key, url }));
            }
        }
        // The chart of an earlier version has one user for all.
        let containers = template.spec.iter().flat_map(|spec| &spec.containers);
        let mut variables = containers.flat_map(|container| container.env.iter().flatten());
        let only = variables.find(|variable| variable.name == "RABBITMQ_DEFAULT_PASS");
        let only = only
            .and_then(|variable| Some(variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name.clone()));
        Ok(named("workers").or(only).map(|secret| WorkersUser::Shared { secret }))
    }
}
