//! What the release would meet in its namespace: a few lists that are quick to ask for, and what they
//! mean.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LimitRange, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, ResourceQuota,
};
use k8s_openapi::api::storage::v1::StorageClass;

use super::finding::Finding;
use super::quantity;
use super::resources::Amounts;
use super::storage::{self, Class};
use super::subject::Subject;
use super::{limit_range, pod_security, quota};
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
        let mut objects = match quotas.as_deref() {
            Ok([]) | Err(_) => Amounts::new(),
            Ok(quotas) => new_objects(cluster, release, subject, quotas).await,
        };
        add_claims(&mut objects, subject, claims.as_deref().unwrap_or_default());
        Self { namespace, quotas, ranges, classes, claims, brokers, objects }
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

    fn storage_class(&self, subject: &Subject) -> Vec<Finding> {
        let classes = match &self.classes {
            Ok(classes) => classes,
            Err(_) if subject.claims.is_empty() => return Vec::new(),
            Err(error) => return vec![Finding::not_seen("storage-class", error)],
        };
        let existing = self.claims.as_deref().unwrap_or_default();
        let judge = |claims| {
            storage::judge_class(
                claims,
                &storage::class_of(claims, classes),
                storage::missing(claims, existing),
            )
        };
        subject.claims.iter().map(judge).collect()
    }

    /// Whether there is room for the volumes, if somebody makes them by hand.
    pub(super) async fn room(&self, cluster: &Cluster, subject: &Subject) -> Vec<Finding> {
        let (Ok(classes), existing) = (&self.classes, self.claims.as_deref().unwrap_or_default()) else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        for claims in &subject.claims {
            let class = storage::class_of(claims, classes);
            let missing = storage::missing(claims, existing);
            if class == Class::Missing || storage::judge_room(claims, &class, missing, &[]).is_none() {
                continue;
            }
            findings.extend(match cluster.objects_everywhere::<PersistentVolume>().await {
                Ok(volumes) => storage::judge_room(claims, &class, missing, &volumes),
                Err(error) => Some(Finding::not_seen("storage-room", &error)),
            });
        }
        findings
    }
}

/// The objects of a release that do not exist yet, of the kinds that some quota counts.
async fn new_objects(
    cluster: &Cluster,
    release: &ReleaseName,
    subject: &Subject,
    quotas: &[ResourceQuota],
) -> Amounts {
    let mut new = Amounts::new();
    let hard = quotas.iter().filter_map(|quota| quota.spec.as_ref()?.hard.as_ref());
    let counted: Vec<&String> = hard.flat_map(BTreeMap::keys).collect();
    // The release storage, and credentials that the chart does not render.
    let secrets = [subject.credentials.clone(), Some(format!("kubectl-workqueue.{release}"))];
    let secrets = secrets.iter().flatten().map(|name| ObjectRef::new("v1", "Secret", name));
    let mut objects: Vec<ObjectRef> = subject.objects.iter().filter_map(ObjectRef::of).collect();
    objects.extend(secrets);
    objects.dedup_by(|a, b| a.is_same_object(b, cluster.namespace()));
    for object in objects {
        let (group, plural) = object.resource();
        let count =
            if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") };
        let names: Vec<String> = [plural, count].into_iter().filter(|name| counted.contains(&name)).collect();
        // What cannot be found is taken for new: then the quota is judged too strictly rather than too mildly.
        if !names.is_empty() && !matches!(cluster.exists(&object).await, Ok(true)) {
            names.into_iter().for_each(|name| *new.entry(name).or_default() += 1000);
        }
    }
    new
}

/// Adds the PVCs that do not exist yet.
fn add_claims(objects: &mut Amounts, subject: &Subject, existing: &[PersistentVolumeClaim]) {
    for claims in &subject.claims {
        let missing = storage::missing(claims, existing) as quantity::Milli;
        let size = claims.size().and_then(quantity::parse).unwrap_or_default();
        let mut add = |name: String, each| *objects.entry(name).or_default() += missing * each;
        for name in ["persistentvolumeclaims", "count/persistentvolumeclaims"] {
            add(name.to_owned(), 1000);
        }
        add("requests.storage".to_owned(), size);
        if let Some(class) = &claims.spec.storage_class_name {
            add(format!("{class}.storageclass.storage.k8s.io/requests.storage"), size);
            add(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), 1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::subject::tests::subject;

    #[test]
    fn volumes_are_counted_as_quotas_count_them() {
        let subject = subject(&["broker.replicas=3", "broker.persistence.storageClass=fast"]);
        let mut objects = Amounts::new();
        add_claims(&mut objects, &subject, &[]);
        assert_eq!(objects["persistentvolumeclaims"], 3000);
        assert_eq!(objects["requests.storage"], 3 * quantity::parse("8Gi").expect("legal"));
        assert_eq!(objects["fast.storageclass.storage.k8s.io/persistentvolumeclaims"], 3000);
    }
}
