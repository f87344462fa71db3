//! Storage: the class of the broker's volumes, and room for them where it can be known.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt as _;

use super::finding::Finding;
use super::quantity;
use super::subject::ClaimGroup;
use workqueue_core::words::{are, count};

const CLASS: &str = "storage-class";
const ROOM: &str = "storage-room";

/// The annotations of the class for PVCs that name none, the one of old clusters among them.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// The provisioner of classes whose volumes somebody makes by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

const HINT: &str = "name one with --set broker.persistence.storageClass=NAME (`kubectl get storageclass` lists them), \
                    or store no messages on a volume: --set broker.persistence.enabled=false";

/// Which class the broker's volumes get.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Class<'a> {
    Found(&'a StorageClass),
    /// The manifest asks for a volume without a class, which somebody makes by hand.
    None,
    Missing,
}

/// The class of PVCs among those of the cluster.
pub(super) fn class_of<'a>(claims: &ClaimGroup, classes: &'a [StorageClass]) -> Class<'a> {
    let is_default = |class: &&StorageClass| {
        DEFAULT.iter().any(|name| class.annotations().get(*name).is_some_and(|it| it == "true"))
    };
    let found = match claims.spec.storage_class_name.as_deref() {
        Some("") => return Class::None,
        Some(name) => classes.iter().find(|class| class.name_any() == name),
        // Of several defaults, the newest counts.
        None => classes
            .iter()
            .filter(is_default)
            .max_by_key(|class| class.metadata.creation_timestamp.as_ref().map(|time| time.0)),
    };
    found.map_or(Class::Missing, Class::Found)
}

/// Whether there is a class for the PVCs that do not exist yet.
pub(super) fn judge_class(claims: &ClaimGroup, class: &Class<'_>, missing: usize) -> Finding {
    if missing == 0 {
        return Finding::ok(CLASS, "the broker's PVCs exist");
    }
    match (class, claims.spec.storage_class_name.as_deref()) {
        (Class::Found(class), Some(_)) => {
            Finding::ok(CLASS, format!("storage class {} exists", class.name_any()))
        }
        (Class::Found(class), None) => {
            Finding::ok(CLASS, format!("storage class {} is the default", class.name_any()))
        }
        (Class::None, _) => Finding::ok(CLASS, "the broker's PVCs ask for volumes without a class"),
        (Class::Missing, Some(name)) => {
            Finding::error(CLASS, format!("there is no storage class {name}"), HINT)
        }
        (Class::Missing, None) => {
            let message =
                "there is no default storage class, and the values name none: the broker's PVC stays pending";
            Finding::error(CLASS, message, HINT)
        }
    }
}

/// Whether there are volumes for as many PVCs as do not exist yet; `None` if the class makes them.
pub(super) fn judge_room(
    claims: &ClaimGroup,
    class: &Class<'_>,
    missing: usize,
    volumes: &[PersistentVolume],
) -> Option<Finding> {
    let name = match class {
        Class::Found(class) if class.provisioner == BY_HAND => class.name_any(),
        Class::None => String::new(),
        _ => return None,
    };
    let fitting = volumes.iter().filter(|volume| fits(volume, claims, &name)).count();
    let size = claims.size().unwrap_or_default();
    if missing == 0 {
        return None;
    }
    Some(if fitting >= missing {
        Finding::ok(ROOM, format!("{} free of at least {size}", are(fitting as u64, "volume")))
    } else {
        let (fitting, missing) = (count(fitting as u64, "volume"), count(missing as u64, "PVC"));
        let message =
            format!("{fitting} of at least {size} for {missing}, and the class makes none by itself");
        Finding::error(
            ROOM,
            message,
            "create volumes, or ask for less with --set broker.persistence.size=SIZE",
        )
    })
}

/// Whether a volume is free and serves a PVC.
fn fits(volume: &PersistentVolume, claims: &ClaimGroup, class: &str) -> bool {
    let Some(spec) = &volume.spec else { return false };
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    let capacity =
        spec.capacity.as_ref().and_then(|it| it.get("storage")).and_then(|it| quantity::parse(&it.0));
    let modes = spec.access_modes.clone().unwrap_or_default();
    phase == Some("Available")
        && spec.claim_ref.is_none()
        && spec.storage_class_name.as_deref().unwrap_or_default() == class
        && claims.spec.access_modes.iter().flatten().all(|mode| modes.contains(mode))
        && capacity >= claims.size().and_then(quantity::parse)
}

/// How many of the PVCs do not exist yet.
pub(super) fn missing(claims: &ClaimGroup, existing: &[PersistentVolumeClaim]) -> usize {
    let exists = |name: &&String| existing.iter().any(|claim| claim.name_any() == **name);
    claims.names.len() - claims.names.iter().filter(exists).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::subject;
    use serde_json::json;

    fn class(name: &str, default: &str, provisioner: &str) -> StorageClass {
        let annotations = json!({DEFAULT[0]: default});
        let class =
            json!({"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner});
        serde_json::from_value(class).expect("a class")
    }

    fn judged(setting: &str, classes: &[StorageClass]) -> Finding {
        let claims = subject(&[setting]).claims.remove(0);
        judge_class(&claims, &class_of(&claims, classes), 1)
    }

    #[test]
    fn without_a_default_class_the_values_have_to_name_one() {
        let classes = [class("slow", "false", "x"), class("fast", "true", "x")];
        let unset = "broker.persistence.storageClass=";
        assert_eq!(judged(unset, &classes).message, "storage class fast is the default");
        let none = judged(unset, &classes[..1]);
        assert_eq!(none.state, State::Error);
        assert!(none.message.starts_with("there is no default storage class"), "{}", none.message);
        assert_eq!(judged("broker.persistence.storageClass=slow", &classes).state, State::Ok);
        let absent = judged("broker.persistence.storageClass=gold", &classes);
        assert_eq!((absent.state, absent.message.as_str()), (State::Error, "there is no storage class gold"));
        assert_eq!(judged("broker.persistence.storageClass=-", &[]).state, State::Ok);
    }

    #[test]
    fn volumes_that_are_made_by_hand_can_be_counted() {
        let volume = |phase: &str, size: &str| -> PersistentVolume {
            let spec = json!({"storageClassName": "local", "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"]});
            serde_json::from_value(json!({"spec": spec, "status": {"phase": phase}})).expect("a volume")
        };
        let claims = subject(&[]).claims.remove(0);
        let classes = [class("local", "true", BY_HAND)];
        let class = class_of(&claims, &classes);
        let state = |volumes: &[PersistentVolume]| {
            judge_room(&claims, &class, 1, volumes).map(|finding| finding.state)
        };
        assert_eq!(state(&[volume("Available", "20Gi")]), Some(State::Ok));
        assert_eq!(state(&[volume("Bound", "20Gi"), volume("Available", "4Gi")]), Some(State::Error));
        let other = Class::Missing;
        assert_eq!(judge_room(&claims, &other, 1, &[]), None, "only such classes have volumes to count");
    }

    #[test]
    fn existing_claims_need_nothing() {
        let claims = subject(&["broker.replicas=3"]).claims.remove(0);
        let existing = json!({"metadata": {"name": claims.names[0]}});
        let existing = [serde_json::from_value(existing).expect("a PVC")];
        assert_eq!(missing(&claims, &existing), 2);
        assert_eq!(judge_class(&claims, &Class::Missing, 0).state, State::Ok);
    }
}
