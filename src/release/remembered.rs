//! The values that a release gets: those that are given now, and those that it was given before.
//!
//! The rule is Helm's: without any value, the ones that the release was given are used again; with some, these
//! replace all of them. What is lost by that is named.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::notice::{Observer, Warning};
use crate::release::manifests::ChartPlan;
use crate::release::storage::StoredRelease;
use helm_template::{Chart, ValueSources};
use workqueue_core::names::ReleaseName;

/// What becomes of the values that a release was given before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remember {
    /// They are used if no others are given.
    #[default]
    UnlessGiven,
    /// Those that are given now are merged over them.
    Always,
    /// They are dropped.
    Never,
}

/// The chart of a release, and its values.
///
/// # Errors
/// [`Error::OtherChart`], [`Error::NothingRemembered`]; what the chart or the cluster refuse.
pub(crate) async fn chart_and_values(
    cluster: &Cluster,
    release: &ReleaseName,
    plan: &ChartPlan,
    remember: Remember,
    observer: &dyn Observer,
) -> Result<(Chart, ValueSources), Error> {
    let stored = StoredRelease::load(cluster, release).await?;
    if let Some(directory) = stored.as_ref().and_then(|stored| stored.chart.clone())
        && plan.chart.is_none()
        && remember != Remember::Never
    {
        return Err(Error::OtherChart { release: release.to_string(), directory });
    }
    let chart = plan.load_chart()?;
    let mut values = plan.load_values(&chart)?;
    let Some(stored) = stored else {
        if remember == Remember::Never || !cluster.has_broker(release).await? {
            return Ok((chart, values));
        }
        if remember == Remember::Always {
            return Err(Error::NothingRemembered { release: release.to_string() });
        }
        observer.warn(Warning::NothingRemembered { release });
        return Ok((chart, values));
    };
    let reuses = match remember {
        Remember::Always => true,
        Remember::UnlessGiven => !plan.has_values(),
        Remember::Never => false,
    };
    if reuses {
        values.presets.push(stored.values);
    } else if remember == Remember::UnlessGiven {
        let lost = lost(&stored.values, &values.merged()?);
        if !lost.is_empty() {
            observer.warn(Warning::ValuesDropped { release, values: &lost });
        }
    }
    Ok((chart, values))
}

/// The names of values that were given before and are not given now.
fn lost(before: &Value, now: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    compare("", before, Some(now), &mut lost);
    lost
}

fn compare(path: &str, before: &Value, now: Option<&Value>, lost: &mut Vec<String>) {
    match before {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, value, now.and_then(|now| now.get(key)), lost);
            }
        }
        _ if now.is_none() => lost.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_are_given_no_more_are_named_and_their_contents_are_not() {
        let before =
            json!({"auth": {"password": "secret"}, "broker": {"replicas": 3, "extraPlugins": ["a"]}});
        let now = json!({"broker": {"replicas": 1}});
        assert_eq!(lost(&before, &now), ["auth.password", "broker.extraPlugins"]);
        assert!(lost(&before, &before).is_empty());
        assert!(lost(&json!({}), &now).is_empty());
        // A map in the place of a value gives that value, if another one.
        assert!(lost(&json!({"a": 1}), &json!({"a": {"b": 2}})).is_empty());
    }
}
