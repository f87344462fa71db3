//! What the release would meet in its namespace: a few lists that are quick to ask for, and what they
//! mean.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LimitRange, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, ResourceQuota,
};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt as _;

use super::finding::Finding;
use super::quantity;
use super::resources::Amounts;
use super::storage::{self, Class};
use super::subject::{ClaimGroup, Role, Subject};
use super::{limit_range, pod_security, quota, worker};
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::{Cluster, Error};
use workqueue_core::names::ReleaseName;

/// Lists of the server, each as far as the user may see it.
pub(super) struct Surroundings {
    pub(super) namespace: Result<Option<Namespace>, Error>,
    quotas: Result<Vec<ResourceQuota>, Error>,
    ranges: Result<Vec<LimitRange>, Error>,
    classes: Result<Vec<StorageClass>, Error>,
    claims: Result<Vec<PersistentVolumeClaim>, Error>,
    brokers: Result<Vec<Pod>, Error>,
    /// Objects that do not exist yet, in the names of quotas.
    objects: Amounts,
}

impl Surroundings {
    /// Asks for all lists at the same time.
    pub(super) async fn look(cluster: &Cluster, release: &ReleaseName, subject: &Subject) -> Self {
        let brokers = release.component_selector("broker");
        let (namespace, quotas, ranges, classes, claims, brokers) = tokio::join!(
            cluster.namespace_object(),
            cluster.objects_here::<ResourceQuota>(),
            cluster.objects_here::<LimitRange>(),
            cluster.objects_everywhere::<StorageClass>(),
            cluster.objects_here::<PersistentVolumeClaim>(),
            cluster.live_pods(&brokers),
        );
        let objects = Amounts::new();
        let mut around = Self { namespace, quotas, ranges, classes, claims, brokers, objects };
        if around.quotas.as_ref().is_ok_and(|quotas| !quotas.is_empty()) {
            around.objects = around.new_objects(cluster, release, subject).await;
        }
        around
    }

    /// Whether a broker's pod exists.
    pub(super) fn has_broker(&self) -> bool {
        self.brokers.as_ref().is_ok_and(|pods| !pods.is_empty())
    }

    /// What all of it means. `minor` is the server's version.
    pub(super) fn findings(&self, subject: &Subject, minor: u32) -> Vec<Finding> {
        let mut findings = match &self.namespace {
            Ok(None) => Vec::new(),
            Ok(Some(namespace)) => pod_security::judge(namespace, minor, &subject.pods),
            Err(error) => vec![Finding::not_seen("pod-security", error)],
        };
        findings.extend(self.quota(subject));
        findings.extend(match &self.ranges {
            Ok(ranges) => limit_range::judge(ranges, subject),
            Err(error) => vec![Finding::not_seen("limit-range", error)],
        });
        findings.extend(self.storage_class(subject));
        findings
    }

    fn quota(&self, subject: &Subject) -> Vec<Finding> {
        let quotas = match &self.quotas {
            Ok(quotas) => quotas,
            Err(error) => return vec![Finding::not_seen("quota", error)],
        };
        let specs = self.brokers.iter().flatten().filter_map(|pod| pod.spec.clone());
        let running: Vec<PodSpec> = specs.collect();
        let ranges = self.ranges.as_deref().unwrap_or_default();
        let demand = quota::Demand { pods: &subject.pods, running: &running, objects: &self.objects, ranges };
        quota::judge(quotas, &demand)
    }

    /// How many PVCs of a group do not exist yet. If that may not be seen, those of a broker exist.
    fn missing(&self, group: &ClaimGroup) -> usize {
        match &self.claims {
            Ok(claims) => storage::missing(group, claims),
            Err(_) if self.has_broker() => 0,
            Err(_) => group.names.len(),
        }
    }

    fn storage_class(&self, subject: &Subject) -> Vec<Finding> {
        let classes = match &self.classes {
            Ok(classes) => classes,
            Err(_) if subject.claims.is_empty() => return Vec::new(),
            Err(error) => return vec![Finding::not_seen("storage-class", error)],
        };
        let judge =
            |group| storage::judge_class(group, &storage::class_of(group, classes), self.missing(group));
        subject.claims.iter().map(judge).collect()
    }

    /// Whether there is room for the volumes, if somebody makes them by hand.
    pub(super) async fn room(&self, cluster: &Cluster, subject: &Subject) -> Vec<Finding> {
        let Ok(classes) = &self.classes else { return Vec::new() };
        let mut findings = Vec::new();
        for group in &subject.claims {
            let (class, missing) = (storage::class_of(group, classes), self.missing(group));
            if storage::judge_room(group, &class, missing, &[]).is_none() {
                continue;
            }
            findings.extend(match cluster.objects_everywhere::<PersistentVolume>().await {
                Ok(volumes) => storage::judge_room(group, &class, missing, &volumes),
                Err(error) => Some(Finding::not_seen("storage-room", &error)),
            });
        }
        findings
    }

    /// The objects of a release that do not exist yet, in the names that quotas have for them.
    async fn new_objects(&self, cluster: &Cluster, release: &ReleaseName, subject: &Subject) -> Amounts {
        let mut new = self.new_claims(subject);
        if subject.pods.iter().any(|group| group.role == Role::Worker) {
            new.insert("count/jobs.batch".to_owned(), 1000);
        }
        let config_maps = ["configmaps", "count/configmaps"];
        let hard = self.quotas.iter().flatten().filter_map(|quota| quota.spec.as_ref()?.hard.as_ref());
        let counted: Vec<&String> = hard.flat_map(BTreeMap::keys).collect();
        if subject.brings_worker() && counted.iter().any(|name| config_maps.contains(&name.as_str())) {
            let missing = worker::missing_config_maps(cluster, release, subject).await as quantity::Milli;
            config_maps.iter().for_each(|name| _ = new.insert((*name).to_owned(), missing * 1000));
        }
        // The release storage, and credentials that the chart does not render.
        let storage = crate::release::storage::secret_names(release);
        let secrets = subject.credentials.iter().chain(&storage);
        let secrets = secrets.map(|name| ObjectRef::new("v1", "Secret", name));
        let rendered = subject.objects.iter().filter_map(ObjectRef::of);
        let mut objects: Vec<ObjectRef> = Vec::new();
        for object in rendered.chain(secrets) {
            if !objects.iter().any(|other| other.is_same_object(&object, cluster.namespace())) {
                objects.push(object);
            }
        }
        for object in objects {
            let names = names_in_quotas(&object);
            let names: Vec<String> = names.into_iter().filter(|name| counted.contains(&name)).collect();
            if names.is_empty() || self.exists(cluster, &object).await {
                continue;
            }
            names.into_iter().for_each(|name| *new.entry(name).or_default() += 1000);
        }
        new
    }

    /// Whether an object exists. If that may not be seen, those of a release with a broker do.
    async fn exists(&self, cluster: &Cluster, object: &ObjectRef) -> bool {
        cluster.exists(object).await.unwrap_or_else(|_| self.has_broker())
    }

    /// The PVCs that do not exist yet.
    fn new_claims(&self, subject: &Subject) -> Amounts {
        let mut new = Amounts::new();
        for group in &subject.claims {
            let missing = self.missing(group) as quantity::Milli;
            let size = group.size().and_then(quantity::parse).unwrap_or_default();
            let mut add = |name: String, each| *new.entry(name).or_default() += missing * each;
            for name in ["persistentvolumeclaims", "count/persistentvolumeclaims"] {
                add(name.to_owned(), 1000);
            }
            add("requests.storage".to_owned(), size);
            let classes = self.classes.as_deref().unwrap_or_default();
            if let Class::Found(class) = storage::class_of(group, classes) {
                let name = class.name_any();
                add(format!("{name}.storageclass.storage.k8s.io/requests.storage"), size);
                add(format!("{name}.storageclass.storage.k8s.io/persistentvolumeclaims"), 1000);
            }
        }
        new
    }
}

/// The names that quotas have for the number of objects of a kind.
fn names_in_quotas(object: &ObjectRef) -> [String; 2] {
    let (group, plural) = object.resource();
    let dot = if group.is_empty() { "" } else { "." };
    let count = format!("count/{plural}{dot}{group}");
    [plural, count]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::subject::tests::subject;
    use serde_json::json;

    fn around(claims: Result<Vec<PersistentVolumeClaim>, Error>, brokers: Vec<Pod>) -> Surroundings {
        let class = json!({"metadata": {"name": "fast", "annotations": {
            "storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "x"});
        Surroundings {
            namespace: Ok(None),
            quotas: Ok(Vec::new()),
            ranges: Ok(Vec::new()),
            classes: Ok(vec![serde_json::from_value(class).expect("a class")]),
            claims,
            brokers: Ok(brokers),
            objects: Amounts::new(),
        }
    }

    #[test]
    fn volumes_are_counted_as_quotas_count_them() {
        let new = around(Ok(Vec::new()), Vec::new()).new_claims(&subject(&["broker.replicas=3"]));
        assert_eq!(new["persistentvolumeclaims"], 3000);
        assert_eq!(new["requests.storage"], 3 * quantity::parse("8Gi").expect("legal"));
        assert_eq!(new["fast.storageclass.storage.k8s.io/persistentvolumeclaims"], 3000);
    }

    #[test]
    fn the_volumes_of_a_broker_exist_even_if_they_may_not_be_seen() {
        let hidden = || Err(Error::Unauthorized { url: "https://c".to_owned() });
        let (subject, pods) = (subject(&[]), vec![Pod::default()]);
        assert_eq!(around(hidden(), pods).new_claims(&subject)["requests.storage"], 0);
        assert_ne!(around(hidden(), Vec::new()).new_claims(&subject)["requests.storage"], 0);
    }

    #[test]
    fn objects_are_counted_by_kind_and_group() {
        let names =
            |version: &str, kind: &str| names_in_quotas(&ObjectRef::new(version, kind, "o")).join(" ");
        assert_eq!(names("v1", "Secret"), "secrets count/secrets");
        assert_eq!(names("apps/v1", "StatefulSet"), "statefulsets count/statefulsets.apps");
    }
}
