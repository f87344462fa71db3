//! Which RabbitMQ versions can follow each other on the same data. A broker that jumps over one does
//! not boot, and its messages are out of reach until the image is changed back.
//!
//! <https://www.rabbitmq.com/docs/upgrade#rabbitmq-version-upgradability>

use std::fmt;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::cluster::rollout::Workload;
use crate::error::Error;
use crate::notice::{Observer, Warning};
use workqueue_core::names::ReleaseName;

/// A release series, such as 3.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series(u32, u32);

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The last series of RabbitMQ 3: the only one that can be upgraded to RabbitMQ 4.
const LAST_OF_3: Series = Series(3, 13);

/// The series whose feature flags later ones require.
const BEFORE_4_3: Series = Series(4, 2);

impl Series {
    /// Reads a version or an image's tag, such as `3.13.7-management`; `None` if it names no version of
    /// RabbitMQ.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').split(['.', '-', '_', '+']);
        let series = Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        (Self(3, 0)..Self(10, 0)).contains(&series).then_some(series)
    }

    /// Reads the tag of an image.
    fn of_image(image: &str) -> Option<Self> {
        let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
        Self::parse(tag).filter(|_| !tag.contains('/'))
    }

    /// The series to upgrade to first, on the way to `to`.
    fn next(self, to: Self) -> Self {
        match self {
            Self(3, minor) if self < LAST_OF_3 => Self(3, minor + 1),
            _ if self < BEFORE_4_3 => to.min(BEFORE_4_3),
            _ => to,
        }
    }
}

/// The steps of an upgrade, the first and the last series included.
fn steps(from: Series, to: Series) -> Vec<Series> {
    let mut steps = vec![from];
    while let Some(last) = steps.last().copied().filter(|last| *last < to) {
        steps.push(last.next(to));
    }
    steps
}

/// Refuses an image whose broker would not boot with the data of the one that runs. Versions that are
/// not known are not judged.
///
/// # Errors
/// [`Error::BrokerJump`], [`Error::BrokerDowngrade`].
pub(crate) async fn check(
    cluster: &Cluster,
    release: &ReleaseName,
    workloads: &[Workload],
    observer: &dyn Observer,
) -> Result<(), Error> {
    let Some(broker) = cluster.broker_with_data(release).await? else { return Ok(()) };
    let images = workloads.iter().filter_map(|workload| image_of(&workload.manifest, &broker.container));
    let Some(image) = images.into_iter().next().filter(|image| **image != broker.image) else {
        return Ok(());
    };
    let Some(to) = Series::of_image(image) else { return Ok(()) };
    // The broker knows better than its tag, but may not be ready, or not be asked.
    let running = cluster.broker_version(&broker.pod).await.ok();
    let running = running.and_then(|version| Series::parse(&version));
    let Some(from) = running.or_else(|| Series::of_image(&broker.image)) else { return Ok(()) };
    judge(from, to, &broker.pod, &broker.container)?;
    if from < to
        && let Ok(flags) = cluster.disabled_feature_flags(&broker.pod).await
        && let Some((message, hint)) = disabled_flags(from, &flags, &broker.pod, &broker.container)
    {
        observer.warn(Warning::Check { message: &message, hint: Some(&hint) });
    }
    Ok(())
}

/// What to say of feature flags that are disabled before an upgrade. It is no error: which of them a later
/// version requires, only that version knows.
/// <https://www.rabbitmq.com/docs/feature-flags#core-feature-flags>
fn disabled_flags(from: Series, flags: &[String], pod: &str, container: &str) -> Option<(String, String)> {
    if flags.is_empty() {
        return None;
    }
    let message = format!(
        "stable feature flags of RabbitMQ {from} are disabled: {}; a later version may require them, and then does \
         not boot",
        flags.join(", ")
    );
    Some((message, format!("before you upgrade, enable them: `{}`", enable_flags(pod, container))))
}

fn enable_flags(pod: &str, container: &str) -> String {
    format!("kubectl exec {pod} -c {container} -- rabbitmqctl enable_feature_flag all")
}

fn judge(from: Series, to: Series, pod: &str, container: &str) -> Result<(), Error> {
    if to < from {
        return Err(Error::BrokerDowngrade { from: from.to_string(), to: to.to_string() });
    }
    let steps = steps(from, to);
    if steps.len() <= 2 {
        return Ok(());
    }
    let steps = steps.iter().map(ToString::to_string).collect();
    let enable = enable_flags(pod, container);
    Err(Error::BrokerJump { from: from.to_string(), to: to.to_string(), steps, enable })
}

fn image_of<'a>(workload: &'a Value, container: &str) -> Option<&'a str> {
    let containers = workload.pointer("/spec/template/spec/containers")?.as_array()?;
    containers.iter().find(|other| other["name"] == container)?["image"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_a_series_or_nothing() {
        let series = |image| Series::of_image(image).map(|series| series.to_string());
        assert_eq!(series("rabbitmq:3.13.7-management").as_deref(), Some("3.13"));
        assert_eq!(series("127.0.0.1:5000/rabbitmq:4.0").as_deref(), Some("4.0"));
        assert_eq!(series("r.example/rabbitmq:v4.1.0@sha256:00").as_deref(), Some("4.1"));
        for unknown in
            ["rabbitmq", "rabbitmq:latest", "rabbitmq:4", "a/b:2024.1", "r.example:5000/b", "b:1.2"]
        {
            assert_eq!(series(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_upgrade_goes_through_every_series_that_rabbitmq_requires() {
        let path = |from, to| {
            let steps = steps(Series::parse(from).expect("known"), Series::parse(to).expect("known"));
            steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(path("3.10", "4.3"), "3.10 3.11 3.12 3.13 4.2 4.3");
        assert_eq!(path("3.12", "4.0"), "3.12 3.13 4.0");
        assert_eq!(path("3.13", "4.2"), "3.13 4.2");
        assert_eq!(path("4.0", "4.3"), "4.0 4.2 4.3");
        assert_eq!(path("4.2", "4.4"), "4.2 4.4", "later ones are not known");
        assert_eq!(path("4.0.1", "4.0.9"), "4.0");
    }

    #[test]
    fn feature_flags_that_are_disabled_are_named_before_an_upgrade() {
        let said = |flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
            disabled_flags(Series(3, 12), &flags, "b-0", "rabbitmq")
        };
        assert_eq!(said(&[]), None);
        let (message, hint) = said(&["quorum_queue", "stream_queue"]).expect("a warning");
        assert!(message.contains("RabbitMQ 3.12 are disabled: quorum_queue, stream_queue;"), "{message}");
        assert!(hint.contains("`kubectl exec b-0 -c rabbitmq -- rabbitmqctl enable_feature_flag all`"));
    }

    #[test]
    fn jumps_and_downgrades_are_refused() {
        let judged = |from, to| {
            judge(Series::parse(from).expect("known"), Series::parse(to).expect("known"), "p", "c")
        };
        assert!(judged("3.13", "4.0").is_ok() && judged("3.10", "3.10").is_ok());
        assert!(matches!(judged("3.10", "3.12"), Err(Error::BrokerJump { .. })));
        assert!(matches!(judged("4.0", "3.13"), Err(Error::BrokerDowngrade { .. })));
    }
}
