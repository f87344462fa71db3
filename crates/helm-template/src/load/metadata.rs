//! `Chart.yaml`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::dependency::{Dependency, dependencies, list, required};
use super::fields::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::golang::quote::is_printable;
use crate::semver::Version;
use crate::value::{Map, MapKind, Value};

/// The content of `Chart.yaml`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    home: String,
    sources: Vec<String>,
    pub(crate) version: String,
    description: String,
    keywords: Vec<String>,
    maintainers: Vec<Maintainer>,
    icon: String,
    api_version: String,
    condition: String,
    tags: String,
    pub(crate) app_version: String,
    deprecated: bool,
    annotations: Option<BTreeMap<String, String>>,
    pub(crate) kube_version: String,
    pub(crate) dependencies: Vec<Dependency>,
    kind: String,
}

#[derive(Debug, Clone, Default)]
struct Maintainer {
    name: String,
    email: String,
    url: String,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Chart, message).on("Chart.yaml")
}

impl Metadata {
    /// Reads `Chart.yaml`, and `requirements.yaml` of an old chart.
    pub(super) fn read(text: &str, requirements: Option<&str>) -> Result<Self> {
        let mut metadata = Fields::read(text).and_then(|fields| Self::of(&fields)).map_err(invalid)?;
        if let Some(text) = requirements {
            let dependencies = required(text)
                .map_err(|message| Error::new(ErrorKind::Chart, message).on("requirements.yaml"))?;
            if !dependencies.is_empty() {
                metadata.dependencies = dependencies;
            }
        }
        if metadata.api_version.is_empty() {
            metadata.api_version = "v1".into();
        }
        metadata.sanitize();
        metadata.check()?;
        Ok(metadata)
    }

    fn of(fields: &Fields) -> std::result::Result<Self, String> {
        Ok(Self {
            name: fields.text("name")?,
            home: fields.text("home")?,
            sources: fields.texts("sources")?,
            version: fields.text("version")?,
            description: fields.text("description")?,
            keywords: fields.texts("keywords")?,
            maintainers: fields.structures("maintainers", Maintainer::of)?,
            icon: fields.text("icon")?,
            api_version: fields.text("apiVersion")?,
            condition: fields.text("condition")?,
            tags: fields.text("tags")?,
            app_version: fields.text("appVersion")?,
            deprecated: fields.flag("deprecated")?,
            annotations: fields.map("annotations")?,
            kube_version: fields.text("kubeVersion")?,
            dependencies: dependencies(fields)?,
            kind: fields.text("type")?,
        })
    }

    /// Removes characters that are not printable, as helm does.
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
        let maintainers = self.maintainers.iter_mut();
        let maintainers = maintainers.flat_map(|m| [&mut m.name, &mut m.email, &mut m.url]);
        let dependencies = self.dependencies.iter_mut().flat_map(Dependency::texts);
        for text in texts.into_iter().chain(lists).chain(maintainers).chain(dependencies) {
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
            let alias = &dependency.alias;
            if alias.contains(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)) {
                return Err(invalid(format!("alias {alias:?} has characters that are not allowed")));
            }
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

    /// Library charts only have definitions for other charts.
    pub(crate) fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }

    /// `.Chart`, with the dependencies that take part.
    pub(crate) fn to_value(&self, name: &str, is_root: bool, dependencies: &[&Dependency]) -> Value {
        let annotations = self.annotations.as_ref().map_or_else(
            || Map::nil(MapKind::Strings),
            |texts| Map::new(MapKind::Strings, texts.iter().map(text_entry).collect()),
        );
        let maintainers = self.maintainers.iter().map(Maintainer::to_value);
        let dependencies = dependencies.iter().map(|dependency| dependency.to_value());
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
            ("Deprecated", self.deprecated.into()),
            ("Annotations", Value::Map(annotations)),
            ("KubeVersion", self.kube_version.as_str().into()),
            ("Dependencies", Value::list(dependencies.collect())),
            ("Type", self.kind.as_str().into()),
            ("IsRoot", is_root.into()),
        ])
    }
}

fn text_entry((key, value): (&String, &String)) -> (Rc<str>, Value) {
    (key.as_str().into(), value.as_str().into())
}

impl Maintainer {
    fn of(fields: &Fields) -> std::result::Result<Self, String> {
        Ok(Self { name: fields.text("name")?, email: fields.text("email")?, url: fields.text("url")? })
    }

    fn to_value(&self) -> Value {
        Value::object([
            ("Name", self.name.as_str().into()),
            ("Email", self.email.as_str().into()),
            ("URL", self.url.as_str().into()),
        ])
    }
}
