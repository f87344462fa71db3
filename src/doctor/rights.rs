//! What the user may do, by what it is for.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};

use super::finding::Finding;
use super::subject::Subject;
use crate::cluster::access::Right;
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::{self, Cluster};
use crate::release::storage;
use workqueue_core::names::ReleaseName;

/// How many rights are asked for at the same time.
const CONCURRENT: usize = 8;

/// What rights are for.
pub(super) struct Purpose {
    check: &'static str,
    /// As in "you may …".
    what: &'static str,
    rights: BTreeSet<Right>,
    /// Whether it is worth no more than a warning if one is missing.
    optional: bool,
}

/// All purposes. Once the release is `installed`, most users need no rights to install it.
pub(super) fn purposes(subject: &Subject, release: &ReleaseName, installed: bool) -> Vec<Purpose> {
    let purpose = |check, what, rights: Vec<Right>, optional| {
        let rights = rights.into_iter().collect();
        Purpose { check, what, rights, optional }
    };
    let look = "look at the release and its runs, and reach the broker";
    vec![
        purpose("rights-look", look, to_look(), false),
        purpose("rights-run", "start, change and delete runs", to_run(subject, release), false),
        purpose(
            "rights-up",
            "install, change and delete the release",
            to_install(subject, release),
            installed,
        ),
        purpose("rights-more", "see items that workers hold, and why pods wait", to_see_more(), true),
    ]
}

fn verbs(verbs: &[&str], group: &str, resource: &str) -> Vec<Right> {
    verbs.iter().map(|verb| Right::new(verb, group, resource)).collect()
}

fn to_look() -> Vec<Right> {
    let mut rights = verbs(&["get", "list", "watch"], "", "pods");
    rights.extend(verbs(&["get"], "", "pods/log"));
    rights.extend(verbs(&["list"], "", "services"));
    // Older servers open a port-forward with GET, newer ones ask for `create`, too.
    rights.extend(verbs(&["get", "create"], "", "pods/portforward"));
    rights.extend(verbs(&["get", "list", "watch"], "batch", "jobs"));
    rights
}

fn to_run(subject: &Subject, release: &ReleaseName) -> Vec<Right> {
    let mut rights = verbs(&["create", "patch", "delete"], "batch", "jobs");
    rights.extend(verbs(&["get", "list", "create"], "", "configmaps"));
    rights.extend(verbs(&["list"], "apps", "statefulsets"));
    rights.extend(verbs(&["create"], "", "secrets"));
    let [_, values] = storage::secret_names(release);
    let read = subject.login.iter().chain([&values]);
    rights.extend(read.map(|name| Right::new("get", "", "secrets").named(name)));
    rights
}

fn to_install(subject: &Subject, release: &ReleaseName) -> Vec<Right> {
    const VERBS: [&str; 4] = ["get", "create", "patch", "delete"];
    let objects = subject.objects.iter().filter_map(ObjectRef::of);
    let kinds: BTreeSet<(String, String)> = objects.map(|object| object.resource()).collect();
    let mut rights: Vec<Right> =
        kinds.iter().flat_map(|(group, plural)| verbs(&VERBS, group, plural)).collect();
    let storage = format!("kubectl-workqueue.{release}");
    rights.push(Right::new("create", "", "secrets"));
    let named = ["get", "patch", "delete"].map(|verb| Right::new(verb, "", "secrets").named(&storage));
    rights.extend(named);
    rights.extend(verbs(&["list", "watch"], "apps", "statefulsets"));
    rights
}

fn to_see_more() -> Vec<Right> {
    let events = verbs(&["list", "watch"], "", "events");
    events.into_iter().chain([Right::new("create", "", "pods/exec")]).collect()
}

/// Asks the server for all rights of a purpose.
pub(super) async fn check(cluster: &Cluster, purpose: Purpose) -> Finding {
    let asking = purpose.rights.iter().map(|right| async move { (right, cluster.may(right).await) });
    let answers: Vec<_> = stream::iter(asking).buffered(CONCURRENT).collect().await;
    judge(&purpose, answers)
}

fn judge(purpose: &Purpose, answers: Vec<(&Right, Result<bool, cluster::Error>)>) -> Finding {
    let mut missing = Vec::new();
    for (right, answer) in answers {
        match answer {
            Ok(true) => {}
            Ok(false) => missing.push(right.clone()),
            Err(error) => return Finding::not_seen(purpose.check, &error),
        }
    }
    let Purpose { check, what, .. } = purpose;
    if missing.is_empty() {
        return Finding::ok(check, format!("you may {what}"));
    }
    let lacking = missing.iter().map(|right| format!("{} {}", right.verb, right.resource));
    let lacking = lacking.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
    let message = format!("you may not {what}: not allowed to {lacking}");
    let hint = format!("ask for a Role with: {}", Right::rules(&missing));
    if purpose.optional {
        Finding::warning(check, message, hint)
    } else {
        Finding::error(check, message, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::subject;

    fn named(purposes: Vec<Purpose>, check: &str) -> Purpose {
        purposes.into_iter().find(|purpose| purpose.check == check).expect("there is one")
    }

    fn judged(check: &str, installed: bool, denied: &Right) -> Finding {
        let release = "workqueue".parse().expect("legal");
        let purpose = named(purposes(&subject(&[]), &release, installed), check);
        assert!(purpose.rights.contains(denied), "{denied:?} is not needed");
        let answers = purpose.rights.iter().map(|right| (right, Ok(right != denied))).collect();
        judge(&purpose, answers)
    }

    #[test]
    fn a_missing_verb_is_named_with_its_rule() {
        let finding = judged("rights-look", false, &Right::new("create", "", "pods/portforward"));
        assert_eq!(finding.state, State::Error);
        assert!(finding.message.ends_with("not allowed to create pods/portforward"), "{}", finding.message);
        let rule = r#"{apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"]}"#;
        assert!(finding.hint.is_some_and(|hint| hint.ends_with(rule)));
    }

    #[test]
    fn what_up_needs_depends_on_the_chart_and_matters_less_once_it_is_installed() {
        let policy = Right::new("patch", "apps", "statefulsets");
        assert_eq!(judged("rights-up", false, &policy).state, State::Error);
        assert_eq!(judged("rights-up", true, &policy).state, State::Warning);
        let release = "workqueue".parse().expect("legal");
        let subject = subject(&["networkPolicy.enabled=true", "roles.create=true"]);
        let rights = named(purposes(&subject, &release, false), "rights-up").rights;
        for (group, plural) in
            [("networking.k8s.io", "networkpolicies"), ("rbac.authorization.k8s.io", "roles")]
        {
            assert!(rights.contains(&Right::new("create", group, plural)), "{plural}");
        }
    }

    #[test]
    fn who_is_not_told_has_no_red_line() {
        let purpose = named(purposes(&subject(&[]), &"w".parse().expect("legal"), false), "rights-run");
        let error = cluster::Error::Unauthorized { url: "https://c".to_owned() };
        let answers = vec![(purpose.rights.first().expect("some"), Err(error))];
        assert_eq!(judge(&purpose, answers).state, State::Unknown);
    }
}
