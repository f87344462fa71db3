//! `Chart.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lenient;
use crate::chart::error::{Error, ErrorKind, Result};
use crate::chart::golang::quote::is_printable;
use crate::chart::semver::Version;
use crate::chart::value::{Entries, Map, MapKind, Value};

/// What `Chart.yaml` says of a chart.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) name: String,
    #[serde(deserialize_with = "lenient::text")]
    home: String,
    #[serde(deserialize_with = "lenient::texts")]
    sources: Vec<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) version: String,
    #[serde(deserialize_with = "lenient::text")]
    description: String,
    #[serde(deserialize_with = "lenient::texts")]
    keywords: Vec<String>,
    #[serde(deserialize_with = "lenient::list")]
    maintainers: Vec<Maintainer>,
    #[serde(deserialize_with = "lenient::text")]
    icon: String,
    #[serde(deserialize_with = "lenient::text")]
    api_version: String,
    #[serde(deserialize_with = "lenient::text")]
    condition: String,
    #[serde(deserialize_with = "lenient::text")]
    tags: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) app_version: String,
    deprecated: Option<bool>,
    #[serde(deserialize_with = "lenient::map")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) kube_version: String,
    #[serde(deserialize_with = "lenient::list")]
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    kind: String,
}

/// Someone who looks after a chart.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Maintainer {
    #[serde(deserialize_with = "lenient::text")]
    name: String,
    #[serde(deserialize_with = "lenient::text")]
    email: String,
    #[serde(deserialize_with = "lenient::text")]
    url: String,
}

/// A chart that this one depends on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Dependency {
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) name: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) version: String,
    #[serde(deserialize_with = "lenient::text")]
    repository: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) condition: String,
    #[serde(deserialize_with = "lenient::texts")]
    pub(crate) tags: Vec<String>,
    #[serde(deserialize_with = "lenient::list")]
    pub(crate) import_values: Vec<Import>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) alias: String,
}

/// Values that a chart takes over from a dependency.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Import {
    /// The table below `exports` of that name becomes part of the top level.
    Export(String),
    /// A table of the dependency becomes a table of this chart.
    Table {
        /// Path in the dependency.
        child: String,
        /// Path in this chart.
        parent: String,
    },
}

/// The part of `requirements.yaml` that counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requirements {
    #[serde(deserialize_with = "lenient::list")]
    dependencies: Vec<Dependency>,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Chart, message).on("Chart.yaml")
}

impl Metadata {
    /// Reads `Chart.yaml`, and `requirements.yaml` of an old chart.
    pub(super) fn read(text: &str, requirements: Option<&str>) -> Result<Self> {
        let mut metadata: Self = serde_yaml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if let Some(text) = requirements {
            let requirements: Requirements = serde_yaml::from_str(text)
                .map_err(|error| Error::new(ErrorKind::Chart, error.to_string()).on("requirements.yaml"))?;
            if !requirements.dependencies.is_empty() {
                metadata.dependencies = requirements.dependencies;
            }
        }
        if metadata.api_version.is_empty() {
            metadata.api_version = "v1".into();
        }
        metadata.sanitize();
        metadata.check()?;
        Ok(metadata)
    }

    /// Takes out what does not print, as helm does.
    fn sanitize(&mut self) {
        let texts = [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ];
        let lists = self.sources.iter_mut().chain(&mut self.keywords);
        for text in texts.into_iter().chain(lists) {
            let spaces = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
            *text = spaces.filter(|c| is_printable(*c)).collect();
        }
    }

    fn check(&self) -> Result<()> {
        if !matches!(self.api_version.as_str(), "v1" | "v2") {
            let version = &self.api_version;
            return Err(invalid(format!("apiVersion {version:?} is not supported")));
        }
        match self.name.as_str() {
            "" => return Err(invalid("name is required")),
            "." | ".." => return Err(invalid(format!("name {:?} is not allowed", self.name))),
            name if name.contains('/') => {
                return Err(invalid(format!("name {name:?} is invalid")));
            }
            _ => {}
        }
        if self.version.is_empty() {
            return Err(invalid("version is required"));
        }
        if Version::parse(&self.version).is_err() {
            return Err(invalid(format!("version {:?} is invalid", self.version)));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return Err(invalid("type must be application or library"));
        }
        let mut names = Vec::new();
        for dependency in &self.dependencies {
            let name = dependency.own_name();
            if names.contains(&name) {
                let message = format!("more than one dependency with name or alias {name:?}");
                return Err(invalid(message));
            }
            names.push(name);
        }
        Ok(())
    }

    pub(super) fn is_v1(&self) -> bool {
        self.api_version == "v1"
    }

    /// A library has only definitions for other charts.
    pub(crate) fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }

    /// `.Chart`.
    pub(crate) fn to_value(&self, name: &str, is_root: bool) -> Value {
        let annotations: Entries = self
            .annotations
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect();
        let maintainers = self.maintainers.iter().map(Maintainer::to_value);
        let dependencies = self.dependencies.iter().map(Dependency::to_value);
        Value::object([
            ("Name", name.into()),
            ("Home", self.home.as_str().into()),
            ("Sources", list(&self.sources)),
            ("Version", self.version.as_str().into()),
            ("Description", self.description.as_str().into()),
            ("Keywords", list(&self.keywords)),
            ("Maintainers", Value::list(maintainers.collect())),
            ("Icon", self.icon.as_str().into()),
            ("APIVersion", self.api_version.as_str().into()),
            ("Condition", self.condition.as_str().into()),
            ("Tags", self.tags.as_str().into()),
            ("AppVersion", self.app_version.as_str().into()),
            ("Deprecated", self.deprecated.unwrap_or(false).into()),
            ("Annotations", Value::Map(Map::new(MapKind::Strings, annotations))),
            ("KubeVersion", self.kube_version.as_str().into()),
            ("Dependencies", Value::list(dependencies.collect())),
            ("Type", self.kind.as_str().into()),
            ("IsRoot", is_root.into()),
        ])
    }
}

fn list(texts: &[String]) -> Value {
    Value::list(texts.iter().map(|text| text.as_str().into()).collect())
}

impl Maintainer {
    fn to_value(&self) -> Value {
        Value::object([
            ("Name", self.name.as_str().into()),
            ("Email", self.email.as_str().into()),
            ("URL", self.url.as_str().into()),
        ])
    }
}

impl Dependency {
    /// The name that the dependency has in this chart.
    pub(crate) fn own_name(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }

    fn to_value(&self) -> Value {
        Value::object([
            ("Name", self.own_name().into()),
            ("Version", self.version.as_str().into()),
            ("Repository", self.repository.as_str().into()),
            ("Condition", self.condition.as_str().into()),
            ("Tags", list(&self.tags)),
            ("Enabled", true.into()),
            ("ImportValues", Value::list(Vec::new())),
            ("Alias", self.alias.as_str().into()),
        ])
    }
}
