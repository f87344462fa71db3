//! `Chart.yaml`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::fields::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::golang::quote::is_printable;
use crate::json;
use crate::print;
use crate::semver::Version;
use crate::value::{Map, MapKind, Value};
use crate::yaml::{self, Numbers};

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

/// A chart that this one depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    repository: String,
    pub(crate) condition: String,
    pub(crate) tags: Vec<String>,
    pub(crate) import_values: Vec<Import>,
    pub(crate) alias: String,
}

/// A table of a dependency that becomes a table of this chart.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// Path in the dependency.
    pub(crate) child: String,
    /// Path in this chart.
    pub(crate) parent: String,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Chart, message).on("Chart.yaml")
}

impl Metadata {
    /// Reads `Chart.yaml`, and `requirements.yaml` of an old chart.
    pub(super) fn read(text: &str, requirements: Option<&str>) -> Result<Self> {
        let mut metadata = fields(text).and_then(|fields| Self::of(&fields)).map_err(invalid)?;
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

/// The fields of a YAML document; integers stay integers.
fn fields(text: &str) -> std::result::Result<Fields, String> {
    Fields::of(&yaml::parse(text, Numbers::Exact)?)
}

/// The dependencies in a `requirements.yaml`.
fn required(text: &str) -> std::result::Result<Vec<Dependency>, String> {
    let value: serde_json::Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    dependencies(&Fields::of(&json::from_serde(value))?)
}

fn dependencies(fields: &Fields) -> std::result::Result<Vec<Dependency>, String> {
    fields.structures("dependencies", Dependency::of)
}

fn text_entry((key, value): (&String, &String)) -> (Rc<str>, Value) {
    (key.as_str().into(), value.as_str().into())
}

fn list(texts: &[String]) -> Value {
    Value::list(texts.iter().map(|text| text.as_str().into()).collect())
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

impl Dependency {
    fn of(fields: &Fields) -> std::result::Result<Self, String> {
        // Only its type is checked; helm sets the value.
        fields.flag("enabled")?;
        let imports = fields.list("import-values", |item| Ok(Import::of(item)))?;
        Ok(Self {
            name: fields.text("name")?,
            version: fields.text("version")?,
            repository: fields.text("repository")?,
            condition: fields.text("condition")?,
            tags: fields.texts("tags")?,
            import_values: imports.into_iter().flatten().collect(),
            alias: fields.text("alias")?,
        })
    }

    /// The texts that are printed; an alias is checked instead.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let own = [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition];
        own.into_iter().chain(&mut self.tags)
    }

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
            ("ImportValues", Value::list(self.import_values.iter().map(Import::to_value).collect())),
            ("Alias", self.alias.as_str().into()),
        ])
    }
}

impl Import {
    /// A name is that of a table below `exports`, which becomes part of the top level. Other
    /// items import nothing, silently.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) => Some(Self { child: format!("exports.{name}"), parent: ".".into() }),
            Value::Map(map) => {
                let path = |key: &str| path_of(&map.get(key).unwrap_or_default());
                Some(Self { child: path("child"), parent: path("parent") })
            }
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let entries = [("child", self.child.as_str()), ("parent", self.parent.as_str())];
        let entries = entries.map(|(key, path)| (key.into(), path.into()));
        Value::Map(Map::new(MapKind::Strings, entries.into()))
    }
}

/// The text that Go prints for the value, with all numbers as floats.
fn path_of(value: &Value) -> String {
    let float = match value {
        Value::Int64(value) => Some(*value as f64),
        Value::Uint64(value) => Some(*value as f64),
        _ => None,
    };
    print::display(&float.map_or_else(|| value.clone(), Value::Float)).unwrap_or_default()
}
