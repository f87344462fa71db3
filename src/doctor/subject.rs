//! What would be installed and run: the pods, volumes and objects of the rendered manifests.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::notice::Observer;
use crate::release::credentials;
use crate::release::manifests::{self, ChartPlan, Installation};
use crate::release::remembered::{self, Remember};
use helm_template::{Chart, Rendered, ValueSources};
use workqueue_core::names::ReleaseName;

/// Whose pods they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Broker,
    Worker,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Worker => "worker",
        }
    }
}

/// Pods of the same kind.
#[derive(Debug, Clone)]
pub(super) struct PodGroup {
    pub(super) role: Role,
    /// How many run at the same time.
    pub(super) count: u32,
    pub(super) template: PodTemplateSpec,
}

impl PodGroup {
    pub(super) fn spec(&self) -> PodSpec {
        self.template.spec.clone().unwrap_or_default()
    }
}

/// PVCs that are made from one template.
#[derive(Debug, Clone)]
pub(super) struct ClaimGroup {
    /// Their names.
    pub(super) names: Vec<String>,
    pub(super) spec: PersistentVolumeClaimSpec,
}

impl ClaimGroup {
    /// The size of each, as in the manifest.
    pub(super) fn size(&self) -> Option<&str> {
        Some(&self.spec.resources.as_ref()?.requests.as_ref()?.get("storage")?.0)
    }
}

/// The rendered release.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    /// What `up` applies.
    pub(super) objects: Vec<Value>,
    pub(super) pods: Vec<PodGroup>,
    pub(super) claims: Vec<ClaimGroup>,
    /// The Secrets that the broker's pods refer to.
    pub(super) credentials: Vec<String>,
    /// The one with the login of who runs.
    pub(super) login: Option<String>,
    /// Manifests whose pods or PVCs cannot be read, and why.
    pub(super) faults: Vec<String>,
}

impl Subject {
    /// What `up` would install with these values, and what `run` would start.
    ///
    /// # Errors
    /// A chart that cannot be rendered.
    pub(super) fn render(
        cluster: &Cluster,
        release: &ReleaseName,
        chart: &Chart,
        values: &ValueSources,
        version: &str,
    ) -> Result<Self, Error> {
        let namespace = cluster.namespace();
        let rendered = manifests::render(chart, values, release, namespace, version)?;
        Ok(Self::of(rendered, release, namespace))
    }

    fn of(rendered: Rendered, release: &ReleaseName, namespace: &str) -> Self {
        let (mut pods, mut claims, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for manifest in rendered.manifests.iter().map(|manifest| &manifest.object) {
            let manifest = with_text_quantities(manifest.clone());
            let read = pod_group(&manifest).and_then(|group| Ok((group, claim_groups(&manifest)?)));
            match read {
                Ok((group, groups)) => {
                    pods.extend(group);
                    claims.extend(groups);
                }
                Err(error) => faults.push(format!("{}: {error}", manifest["metadata"]["name"])),
            }
        }
        // Brokers first: workers need what is left.
        pods.sort_by_key(|group: &PodGroup| group.role == Role::Worker);
        let installation = Installation::of(rendered, release, namespace);
        let workloads = installation.workloads.iter().map(|workload| &workload.manifest);
        let credentials = workloads.clone().flat_map(credentials::secrets_of).collect();
        let login = workloads.clone().find_map(credentials::login_of);
        Self { objects: installation.objects, pods, claims, credentials, login, faults }
    }

    /// The images of a role's pods, each once.
    pub(super) fn images(&self) -> BTreeSet<(&'static str, String)> {
        let of_group = |group: &PodGroup| {
            let spec = group.spec();
            let (role, images) = (group.role.as_str(), containers(&spec).filter_map(|it| it.image.clone()));
            images.map(|image| (role, image)).collect::<Vec<_>>()
        };
        self.pods.iter().flat_map(of_group).collect()
    }
}

/// All containers of a pod, in the order in which they start.
pub(super) fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

/// The images of a run, if they are not those in the values.
#[derive(Debug, Clone, Default)]
pub struct RunImages {
    pub worker: Option<String>,
    /// The image that `workqueue-worker` is copied from.
    pub inject: Option<String>,
}

impl RunImages {
    /// The same as values.
    pub(super) fn overrides(&self) -> impl Iterator<Item = Value> {
        let worker = self.worker.iter().map(|image| json!({"worker": {"image": image}}));
        let inject = self.inject.iter().map(|image| json!({"worker": {"inject": {"image": image}}}));
        worker.chain(inject)
    }
}

/// The chart and the values that `up` would install with this plan; without those that the release was
/// given before, if they may not be read.
///
/// # Errors
/// A chart or values that cannot be read; [`Error::OtherChart`].
pub(super) async fn chart_and_values(
    cluster: &Cluster,
    release: &ReleaseName,
    plan: &ChartPlan,
    remember: Remember,
    images: &RunImages,
    observer: &dyn Observer,
) -> Result<(Chart, ValueSources), Error> {
    let loaded = remembered::chart_and_values(cluster, release, plan, remember, observer).await;
    let (chart, mut values) = match loaded {
        Err(Error::Cluster(_)) => {
            let chart = plan.load_chart()?;
            let values = plan.load_values(&chart)?;
            (chart, values)
        }
        loaded => loaded?,
    };
    values.overrides.extend(images.overrides());
    Ok((chart, values))
}

fn pod_group(manifest: &Value) -> serde_json::Result<Option<PodGroup>> {
    let (role, count) = match manifest["kind"].as_str() {
        Some("StatefulSet" | "Deployment" | "ReplicationController") => (Role::Broker, "replicas"),
        Some("Job") => (Role::Worker, "parallelism"),
        _ => return Ok(None),
    };
    let count = manifest["spec"][count].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let template = serde_json::from_value(manifest["spec"]["template"].clone())?;
    Ok(Some(PodGroup { role, count, template }))
}

fn claim_groups(manifest: &Value) -> serde_json::Result<Vec<ClaimGroup>> {
    let templates = manifest.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let replicas = manifest["spec"]["replicas"].as_u64().unwrap_or(1);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let set = name(manifest);
    let of_template = |template: &Value| {
        let claim = name(template);
        let names = (0..replicas).map(|number| format!("{claim}-{set}-{number}")).collect();
        Ok(ClaimGroup { names, spec: serde_json::from_value(template["spec"].clone())? })
    };
    templates.into_iter().flatten().map(of_template).collect()
}

/// A manifest with all quantities as text. Numbers are legal, too.
fn with_text_quantities(manifest: Value) -> Value {
    let text = |value: Value| if value.is_number() { value.to_string().into() } else { value };
    match manifest {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| match (name.as_str(), value) {
                    ("requests" | "limits", Value::Object(amounts)) => {
                        let amounts = amounts.into_iter().map(|(resource, amount)| (resource, text(amount)));
                        (name, Value::Object(amounts.collect()))
                    }
                    (_, value) => (name, with_text_quantities(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(with_text_quantities).collect()),
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The bundled chart with these settings.
    pub(in crate::doctor) fn subject(settings: &[&str]) -> Subject {
        let plan = ChartPlan {
            set: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            ..ChartPlan::default()
        };
        let chart = plan.load_chart().expect("the bundled chart");
        let values = plan.load_values(&chart).expect("values");
        let release: ReleaseName = "r1".parse().expect("legal");
        let rendered = manifests::render(&chart, &values, &release, "ns1", "1.20.0").expect("it renders");
        Subject::of(rendered, &release, "ns1")
    }

    #[test]
    fn brokers_workers_and_volumes_are_found_in_the_manifests() {
        let subject = subject(&["broker.replicas=3", "worker.image=w:1", "worker.inject.image=i:1"]);
        let pods: Vec<_> = subject.pods.iter().map(|group| (group.role.as_str(), group.count)).collect();
        assert_eq!(pods, [("broker", 3), ("worker", 2)]);
        let claims = &subject.claims[0];
        assert_eq!(claims.names.last().map(String::as_str), Some("data-r1-workqueue-broker-2"));
        assert_eq!(claims.size(), Some("8Gi"));
        assert_eq!(subject.credentials.len(), 5, "four users and the cookie: {:?}", subject.credentials);
        assert_eq!(subject.login.as_deref(), Some("r1-workqueue-run"));
        let images: Vec<_> = subject.images().into_iter().filter(|(role, _)| *role == "worker").collect();
        assert_eq!(images, [("worker", "i:1".to_owned()), ("worker", "w:1".to_owned())]);
    }

    #[test]
    fn numbers_are_quantities_too_and_what_is_illegal_is_told() {
        let resources = json!({"requests": {"cpu": 2}, "limits": {"memory": 1000}});
        let container = json!({"name": "c", "resources": resources});
        let set = |containers: Value| {
            let spec = json!({"replicas": 1, "template": {"spec": {"containers": containers}}});
            with_text_quantities(json!({"kind": "StatefulSet", "metadata": {"name": "s"}, "spec": spec}))
        };
        let spec = pod_group(&set(json!([container]))).expect("legal").expect("a group").spec();
        let requests = spec.containers[0].resources.as_ref().and_then(|it| it.requests.as_ref());
        assert_eq!(requests.expect("some")["cpu"].0, "2");
        assert!(pod_group(&set(json!("none"))).is_err());
    }
}
