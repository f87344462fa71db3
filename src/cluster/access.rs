//! What the user may do, as the API server answers before it is tried.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use super::error::MissingRule;
use super::{Cluster, Error};

/// One verb on one kind of object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: String,
    pub group: String,
    /// The plural, with a subresource behind a slash: `pods/log`.
    pub resource: String,
    /// The only object that it is needed for; `None` for all of the namespace.
    pub name: Option<String>,
    /// Whether the objects are in no namespace.
    pub cluster_wide: bool,
}

impl Right {
    /// A right to all objects of a kind in the namespace.
    pub fn new(verb: &str, group: &str, resource: &str) -> Self {
        let [verb, group, resource] = [verb, group, resource].map(str::to_owned);
        Self { verb, group, resource, name: None, cluster_wide: false }
    }

    /// The same for one object.
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// The same for objects outside of namespaces.
    pub fn cluster_wide(self) -> Self {
        Self { cluster_wide: true, ..self }
    }

    /// The RBAC rules that grant these rights, one for each resource.
    pub fn rules(rights: &[Self]) -> String {
        let mut rules: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for right in rights {
            match rules
                .iter_mut()
                .find(|(group, resource, _)| (*group, *resource) == (&right.group, &right.resource))
            {
                Some((_, _, verbs)) if verbs.contains(&&*right.verb) => {}
                Some((_, _, verbs)) => verbs.push(&right.verb),
                None => rules.push((&right.group, &right.resource, vec![&right.verb])),
            }
        }
        let text = |(group, resource, verbs): &(&str, &str, Vec<&str>)| {
            format!("{{{}}}", MissingRule::new(verbs, group, resource))
        };
        rules.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    fn attributes(&self, namespace: &str) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (&*self.resource, None),
        };
        ResourceAttributes {
            group: Some(self.group.clone()),
            name: self.name.clone(),
            namespace: (!self.cluster_wide).then(|| namespace.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            verb: Some(self.verb.clone()),
            ..ResourceAttributes::default()
        }
    }
}

impl Cluster {
    /// Whether the user has a right.
    ///
    /// # Errors
    /// The server does not answer, or does not tell.
    pub async fn may(&self, right: &Right) -> Result<bool, Error> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes(&self.namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let answer = self.call("asking for your rights", api.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_told_as_rules_of_a_role() {
        let rights = [
            Right::new("get", "", "pods/portforward"),
            Right::new("create", "", "pods/portforward"),
            Right::new("get", "", "pods/portforward"),
            Right::new("list", "batch", "jobs"),
        ];
        assert_eq!(
            Right::rules(&rights),
            r#"{apiGroups: [""], resources: ["pods/portforward"], verbs: ["get", "create"]}, {apiGroups: ["batch"], resources: ["jobs"], verbs: ["list"]}"#
        );
    }

    #[test]
    fn subresources_and_scopes_are_told_apart() {
        let log = Right::new("get", "", "pods/log").attributes("ns1");
        assert_eq!((log.resource.as_deref(), log.subresource.as_deref()), (Some("pods"), Some("log")));
        assert_eq!(log.namespace.as_deref(), Some("ns1"));
        assert_eq!(Right::new("list", "", "nodes").cluster_wide().attributes("ns1").namespace, None);
    }
}
