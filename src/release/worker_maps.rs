//! The ConfigMaps that hold the static worker of one architecture: what is in them, and which of those
//! in a cluster are complete or obsolete.
//!
//! An init container puts the parts together. It trusts none of them: see `workqueue.unpackCommand` in
//! the chart.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest as _, Sha256};

use crate::cluster::config_maps::MAX_VALUES;
use crate::error::Error;
use crate::image::{WorkerBinary, worker_version};
use workqueue_core::names::ReleaseName;

/// The component of these ConfigMaps, by which they are found.
const COMPONENT: &str = "worker-archive";
const ARCHITECTURE_LABEL: &str = "kubernetes.io/arch";
const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// Annotation: into how many ConfigMaps the worker is divided.
const PARTS_ANNOTATION: &str = "kubectl-workqueue/parts";

/// The key in each ConfigMap. The chart's init container reads the file of this name.
const KEY: &str = "part";

/// How many digits of the digest are in the names of ConfigMaps. Whether the content is right is not
/// judged by the name.
const DIGITS: usize = 12;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The worker for one architecture.
pub struct WorkerExecutable {
    pub architecture: &'static str,
    /// The SHA-256 digest of the executable, in hexadecimal.
    pub sha256: String,
    bytes: Vec<u8>,
}

impl WorkerExecutable {
    /// # Errors
    /// The file cannot be read; [`Error::OtherWorker`].
    pub fn open(binary: &WorkerBinary) -> Result<Self, Error> {
        let bytes = binary.read()?;
        let found = worker_version(&bytes);
        if found != Some(VERSION) {
            let (path, found) = (binary.path().display().to_string(), found.map(str::to_owned));
            return Err(Error::OtherWorker { path, found });
        }
        Ok(Self::new(binary.architecture(), bytes))
    }

    fn new(architecture: &'static str, bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { architecture, sha256, bytes }
    }

    /// The name of a part, from 0.
    fn name(&self, release: &ReleaseName, part: usize) -> String {
        format!("{release}-worker-{}-{}-{part}", self.architecture, &self.sha256[..DIGITS])
    }

    /// The ConfigMaps with this worker, in the order of its parts. Compressing takes half a second.
    pub fn config_maps(&self, release: &ReleaseName, namespace: &str) -> Vec<ConfigMap> {
        let archive = compress(&self.bytes);
        let parts: Vec<&[u8]> = archive.chunks(MAX_VALUES).collect();
        let label = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let labels: BTreeMap<String, String> = [
            ("app.kubernetes.io/managed-by", "kubectl-workqueue"),
            (VERSION_LABEL, VERSION),
            (ARCHITECTURE_LABEL, self.architecture),
        ]
        .into_iter()
        .chain(release.component_labels(COMPONENT))
        .map(label)
        .collect();
        let annotations = BTreeMap::from([(PARTS_ANNOTATION.to_owned(), parts.len().to_string())]);
        let map = |(number, part): (usize, &&[u8])| ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name(release, number)),
                namespace: Some(namespace.to_owned()),
                labels: Some(labels.clone()),
                annotations: Some(annotations.clone()),
                ..ObjectMeta::default()
            },
            binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(part.to_vec()))])),
            immutable: Some(true),
            ..ConfigMap::default()
        };
        parts.iter().enumerate().map(map).collect()
    }

    /// The names of the ConfigMaps with this worker, if all are among those that were found.
    pub fn complete(&self, release: &ReleaseName, found: &[ObjectMeta]) -> Option<Vec<String>> {
        let named = |name: &str| found.iter().find(|map| map.name.as_deref() == Some(name));
        let first = named(&self.name(release, 0))?;
        let parts: usize = first.annotations.as_ref()?.get(PARTS_ANNOTATION)?.parse().ok()?;
        // Anybody may have written the annotation.
        let parts = parts.max(1);
        (0..parts).map(|part| Some(self.name(release, part)).filter(|name| named(name).is_some())).collect()
    }
}

/// The ConfigMaps with all workers that are found beside the plugin, as a stream of YAML documents.
///
/// # Errors
/// [`Error::NoWorker`]; a worker that cannot be read.
pub fn to_yaml(release: &ReleaseName, namespace: &str) -> Result<String, Error> {
    let workers = WorkerBinary::all();
    if workers.is_empty() {
        return Err(Error::NoWorker(None));
    }
    let mut documents = String::new();
    for worker in workers {
        for map in WorkerExecutable::open(&worker)?.config_maps(release, namespace) {
            let object = serde_json::to_value(&map).expect("maps with text keys are JSON");
            documents +=
                &format!("---\n# Source: {}\n{}", worker.path().display(), helm_template::to_yaml(&object));
        }
    }
    Ok(documents)
}

/// Selects the ConfigMaps with workers of a release.
pub fn selector(release: &ReleaseName) -> String {
    release.component_selector(COMPONENT)
}

/// The ConfigMaps that the plugin needs no longer, now that it has `current`: those of older versions,
/// and those of the same version and architecture with another worker. Newer ones belong to a colleague.
pub fn obsolete<'a>(found: &'a [ObjectMeta], current: &[&WorkerExecutable]) -> Vec<&'a ObjectMeta> {
    let is_obsolete = |map: &&ObjectMeta| {
        let label = |name: &str| Some(map.labels.as_ref()?.get(name)?.as_str());
        let version = numbers(label(VERSION_LABEL).unwrap_or_default());
        let same_architecture =
            current.iter().find(|worker| label(ARCHITECTURE_LABEL) == Some(worker.architecture));
        version < numbers(VERSION)
            || version == numbers(VERSION)
                && same_architecture.is_some_and(|worker| {
                    let digits = &worker.sha256[..DIGITS];
                    map.name.as_ref().is_some_and(|name| !name.contains(digits))
                })
    };
    found.iter().filter(is_obsolete).collect()
}

/// The numbers of a version.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut archive = GzEncoder::new(Vec::new(), Compression::best());
    archive.write_all(bytes).and_then(|()| archive.finish()).expect("memory takes everything")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn release() -> ReleaseName {
        "r1".parse().expect("legal")
    }

    /// Bytes that do not compress.
    fn worker(architecture: &'static str, size: u32) -> WorkerExecutable {
        let bytes = (0..size).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec()).collect();
        WorkerExecutable::new(architecture, bytes)
    }

    fn metadata(maps: &[ConfigMap]) -> Vec<ObjectMeta> {
        maps.iter().map(|map| map.metadata.clone()).collect()
    }

    #[test]
    fn the_parts_together_are_the_worker() {
        let worker = worker("amd64", 80_000);
        let maps = worker.config_maps(&release(), "ns1");
        assert_eq!(maps.len(), 3, "of 2.56 MB");
        let parts = maps.iter().map(|map| &map.binary_data.as_ref().expect("content")[KEY].0);
        assert!(parts.clone().all(|part| part.len() <= MAX_VALUES));
        let archive: Vec<u8> = parts.flatten().copied().collect();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&archive[..]).read_to_end(&mut unpacked).expect("gzip");
        assert!(unpacked == worker.bytes, "{} bytes", unpacked.len());
        assert!(maps.iter().all(|map| map.immutable == Some(true)));
    }

    #[test]
    fn a_worker_is_complete_if_all_of_its_parts_are_there() {
        let worker = worker("amd64", 80_000);
        let mut found = metadata(&worker.config_maps(&release(), "ns1"));
        let names: Vec<String> = found.iter().filter_map(|map| map.name.clone()).collect();
        assert_eq!(worker.complete(&release(), &found), Some(names));
        assert_eq!(worker.complete(&"r2".parse().expect("legal"), &found), None);
        found.remove(2);
        assert_eq!(worker.complete(&release(), &found), None);
        found.clear();
        assert_eq!(worker.complete(&release(), &found), None);
    }

    #[test]
    fn only_what_is_older_or_replaced_is_obsolete() {
        let worker = |architecture, size| self::worker(architecture, size);
        let mut found = Vec::new();
        let mut add = |architecture, size, version: &str| {
            for mut map in metadata(&worker(architecture, size).config_maps(&release(), "ns1")) {
                map.labels.get_or_insert_default().insert(VERSION_LABEL.to_owned(), version.to_owned());
                found.push(map);
            }
        };
        add("amd64", 1, VERSION);
        add("amd64", 2, VERSION);
        add("arm64", 3, VERSION);
        add("arm64", 4, "0.0.9");
        add("amd64", 5, "999.0.0");
        let current = worker("amd64", 1);
        let names: Vec<_> = obsolete(&found, &[&current]).into_iter().map(|map| map.name.clone()).collect();
        assert_eq!(
            names,
            [worker("amd64", 2), worker("arm64", 4)].map(|worker| Some(worker.name(&release(), 0)))
        );
    }
}
