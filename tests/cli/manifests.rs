//! The manifests of package managers, made for archives of fake programs.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use workqueue_test_support::{Sandbox, root};

const REPOSITORY: &str = "https://project.example/team/repository";

/// The platform of this machine, as archives have it.
pub const HERE: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (false, false) => "linux-amd64",
    (false, true) => "linux-arm64",
    (true, false) => "darwin-amd64",
    (true, true) => "darwin-arm64",
};

/// Packs an archive for a platform into `dist/`.
pub fn package_for(sandbox: &Sandbox, platform: &str) -> PathBuf {
    let mut command = Command::new(root().join("scripts/package"));
    command.args(["--platform", platform]);
    command.arg("--binaries").arg(sandbox.path("bin")).arg("--output").arg(sandbox.path("dist"));
    let outcome = sandbox.finish(&mut command).ok();
    sandbox.path(outcome.stdout.trim().trim_start_matches("[DIR]/"))
}

/// Writes the manifests for the archives in `dist/`.
pub fn manifests(sandbox: &Sandbox) {
    let mut command = Command::new(root().join("scripts/manifests"));
    command.args(["--repository", REPOSITORY, "--archives"]).arg(sandbox.path("dist"));
    sandbox.finish(&mut command).ok();
}

/// The platforms of a release.
fn platforms() -> Vec<(String, String)> {
    let table = std::fs::read_to_string(root().join("scripts/platforms")).expect("it is there");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut rows = rows.map(|line| line.split_ascii_whitespace().map(str::to_owned));
    std::iter::from_fn(|| rows.next().map(|mut row| (row.next().expect("two"), row.next().expect("two"))))
        .collect()
}

/// Archives for all platforms, and their manifests.
fn release() -> Sandbox {
    let sandbox = Sandbox::new();
    for program in ["kubectl-workqueue", "kubectl-workqueue.exe"] {
        sandbox.program(program, "");
    }
    for worker in ["workqueue-worker-linux-amd64", "workqueue-worker-linux-arm64"] {
        sandbox.program(worker, "");
    }
    for (platform, _) in platforms() {
        package_for(&sandbox, &platform);
    }
    manifests(&sandbox);
    sandbox
}

fn address(platform: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let end = if platform.starts_with("windows") { "zip" } else { "tar.gz" };
    format!("{REPOSITORY}/releases/download/v{version}/kubectl-workqueue-v{version}-{platform}.{end}")
}

/// The checksum of a platform's archive, and the names of the files in it.
fn archive(sandbox: &Sandbox, platform: &str) -> (String, Vec<String>) {
    let address = address(platform);
    let path = sandbox.path("dist").join(address.rsplit('/').next().expect("a name"));
    let sum = sandbox.finish(Command::new("sha256sum").arg(&path)).stdout;
    let list = "import sys, tarfile, zipfile\n\
                names = zipfile.ZipFile(sys.argv[1]).namelist() if sys.argv[1].endswith('zip') else \
                tarfile.open(sys.argv[1]).getnames()\nprint(*names, sep='\\n')";
    let names = sandbox.finish(Command::new("python3").args(["-c", list]).arg(&path)).ok().stdout;
    (sum[..64].to_owned(), names.lines().map(str::to_owned).collect())
}

/// Krew's rules: internal/index/validation/validate.go, and those of its index in docs/NAMING_GUIDE.md.
#[test]
fn the_krew_manifest_is_valid_and_fits_the_archives() {
    let sandbox = release();
    let manifest: Value = serde_yaml::from_str(&sandbox.read("dist/workqueue.yaml")).expect("YAML");
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    // The file's name, the plugin's name and the command have to agree.
    assert_eq!(manifest["metadata"]["name"], "workqueue");
    let spec = &manifest["spec"];
    assert_eq!((spec["homepage"].as_str(), spec["version"].as_str()), (Some(REPOSITORY), Some(VERSION)));
    let short = spec["shortDescription"].as_str().expect("text");
    assert!(!short.is_empty() && short.len() <= 50 && !short.contains(['\n', '\r']) && !short.ends_with('.'));
    assert!(spec["description"].as_str().is_some_and(|text| text.lines().all(|line| line.len() <= 80)));
    let mut selected: Vec<String> = Vec::new();
    for platform in spec["platforms"].as_array().expect("a list") {
        let labels = platform["selector"]["matchLabels"].as_object().expect("labels");
        assert!(labels.keys().eq(["arch", "os"]), "krew knows no other labels: {labels:?}");
        let name =
            format!("{}-{}", labels["os"].as_str().expect("text"), labels["arch"].as_str().expect("text"));
        let (sum, names) = archive(&sandbox, &name);
        assert_eq!(platform["uri"], address(&name));
        assert_eq!(platform["sha256"], sum);
        let bin = platform["bin"].as_str().expect("text");
        assert_eq!(bin.ends_with(".exe"), name.starts_with("windows"));
        let files = platform["files"].as_array().expect("a list");
        let globs: Vec<&str> = files.iter().filter_map(|file| file["from"].as_str()).collect();
        assert!(globs.contains(&&*format!("*/{bin}")), "{globs:?}");
        for glob in globs {
            let (_, file) = glob.split_once("*/").expect("below the archive's one directory");
            let start = file.trim_end_matches('*');
            let fits = |name: &&String| {
                let file_name = name.split_once('/').map_or("", |(_, file)| file);
                if start == file { file_name == file } else { file_name.starts_with(start) }
            };
            let expected = if start == file { 1 } else { 2 };
            assert_eq!(names.iter().filter(fits).count(), expected, "{glob} in {names:?}");
        }
        assert!(files.iter().all(|file| file["to"] == "."));
        selected.push(name);
    }
    selected.sort();
    let mut all: Vec<String> = platforms().into_iter().map(|(platform, _)| platform).collect();
    all.sort();
    assert_eq!(selected, all, "each platform once");
}

const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

#[test]
fn formula_and_scoop_manifest_name_the_archives_and_their_sums() {
    let sandbox = release();
    let formula = sandbox.read("dist/kubectl-workqueue.rb");
    for platform in ["darwin-arm64", "darwin-amd64", "linux-arm64", "linux-amd64"] {
        let (sum, _) = archive(&sandbox, platform);
        let pair = format!("url \"{}\"\n      sha256 \"{sum}\"\n", address(platform));
        assert!(formula.contains(&pair), "no {pair} in {formula}");
    }
    let scoop: Value = serde_json::from_str(&sandbox.read("dist/kubectl-workqueue.json")).expect("JSON");
    let (sum, names) = archive(&sandbox, "windows-amd64");
    let windows = &scoop["architecture"]["64bit"];
    assert_eq!((&windows["url"], &windows["hash"]), (&address("windows-amd64").into(), &sum.into()));
    let directory = windows["extract_dir"].as_str().expect("text");
    for program in scoop["bin"].as_array().expect("a list") {
        let path = format!("{directory}/{}", program.as_str().expect("text"));
        assert!(names.contains(&path), "no {path} in {names:?}");
    }
}

#[test]
fn binstall_looks_for_the_archives_that_are_released() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    for (platform, triple) in platforms() {
        let rule = manifest.lines().find(|line| line.starts_with(&format!("{triple} = "))).expect("a rule");
        let filled = rule
            .replace("{ repo }", REPOSITORY)
            .replace("{ version }", env!("CARGO_PKG_VERSION"))
            .replace("{ name }", env!("CARGO_PKG_NAME"));
        assert!(filled.contains(&format!("pkg-url = \"{}\"", address(&platform))), "{filled}");
        assert!(filled.contains(&format!("-{platform}/{{ bin }}{{ binary-ext }}\"")), "{filled}");
    }
}
