//! What would be installed and run: the pods, volumes and objects of the rendered manifests.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec, Volume};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::image::ARCHITECTURES;
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

/// Stands for the ConfigMaps with the worker that `run` would bring.
const SAMPLE: &str = "kubectl-workqueue-sample";

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

    /// The images of the pods, each once.
    pub(super) fn images(&self) -> BTreeSet<String> {
        containers(&self.spec()).filter_map(|container| container.image.clone()).collect()
    }

    /// The labels of the nodes that the pods may get, as a selector; empty for all nodes.
    pub(super) fn node_selector(&self) -> String {
        let labels = self.spec().node_selector.unwrap_or_default();
        labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
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

    /// Whether the pods of a run get a worker that `run` brings in ConfigMaps.
    pub(super) fn brings_worker(&self) -> bool {
        let is_sample = |volume: &Volume| volume.config_map.as_ref().is_some_and(|map| map.name == SAMPLE);
        self.pods.iter().any(|group| group.spec().volumes.iter().flatten().any(is_sample))
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
    /// Whether `run` brings `workqueue-worker` into the pods, if no image in the values has it.
    pub brings_worker: bool,
}

impl RunImages {
    /// The same as values.
    pub(super) fn overrides(&self) -> impl Iterator<Item = Value> {
        let worker = self.worker.iter().map(|image| json!({"worker": {"image": image}}));
        let inject = self.inject.iter().map(|image| json!({"worker": {"inject": {"image": image}}}));
        // The real names are not known before `run`. With an image in the values, the chart uses that.
        let sample = || json!({"sha256": "0".repeat(64), "configMaps": [SAMPLE]});
        let archives = || json!({"worker": {"inject": {"archives": {ARCHITECTURES[0]: sample()}}}});
        worker.chain(inject).chain(self.brings_worker.then(archives))
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
        subject_with(settings, &RunImages::default())
    }

    /// The same with a run's image, into whose pods `run` brings the worker.
    pub(in crate::doctor) fn subject_of_run(settings: &[&str]) -> Subject {
        subject_with(
            settings,
            &RunImages { worker: Some("w:1".to_owned()), inject: None, brings_worker: true },
        )
    }

    fn subject_with(settings: &[&str], images: &RunImages) -> Subject {
        let plan = ChartPlan {
            set: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            ..ChartPlan::default()
        };
        let chart = plan.load_chart().expect("the bundled chart");
        let mut values = plan.load_values(&chart).expect("values");
        values.overrides.extend(images.overrides());
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
        assert_eq!(Vec::from_iter(subject.pods[1].images()), ["i:1", "w:1"]);
        assert!(!subject.brings_worker());
    }

    #[test]
    fn a_worker_that_is_brought_needs_an_init_container_and_an_image_that_unpacks_it() {
        let brought = subject_of_run(&["worker.resources.limits.cpu=1", "worker.nodeSelector.disk=ssd"]);
        assert!(brought.brings_worker());
        let (spec, images) = (brought.pods[1].spec(), brought.pods[1].images());
        let init = &spec.init_containers.as_ref().expect("one")[0];
        assert_eq!((init.name.as_str(), init.resources.is_some()), ("inject-worker", true));
        assert!(images.contains("w:1") && images.is_superset(&brought.pods[0].images()), "{images:?}");
        assert_eq!(brought.pods[1].node_selector(), "disk=ssd");
        let own = subject_of_run(&["worker.inject.unpackImage=u:1"]).pods[1].images();
        assert_eq!(Vec::from_iter(own), ["u:1", "w:1"]);
        let copied = subject_of_run(&["worker.inject.image=i:1"]);
        assert!(!copied.brings_worker() && copied.pods[1].images().contains("i:1"));
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
