//! The container engine's command line: docker, or a program that takes the same arguments.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::build_context::{BuildContext, PreparedContext};
use super::several::buildx_arguments;
use super::subprocess::{Exit, Interrupt, OutputMode, Subprocess};
use super::{Error, Reference, Tool, entry_point, platforms};

#[derive(Debug, Clone)]
pub struct Engine {
    /// The program, such as `docker`, `podman` or `nerdctl`.
    pub program: String,
    pub output: OutputMode,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// `OS/ARCHITECTURE` of the image, or several of them; none for the engine's own.
    pub platforms: Vec<String>,
    /// `NAME=VALUE` pairs for the Dockerfile's ARGs.
    pub build_args: Vec<String>,
    /// Secrets and SSH agents for the build, in the engine's words.
    pub secrets: Vec<String>,
    pub ssh: Vec<String>,
    /// Build every step again instead of taking it from the cache.
    pub no_cache: bool,
}

impl Engine {
    /// The command line that builds an image, to be printed.
    pub fn build_line(&self, context: &BuildContext, image: &Reference, options: &BuildOptions) -> String {
        let (path, file) = context.location();
        let args = match options.platforms.len() {
            0 | 1 => arguments(path, file, image, options),
            _ => buildx_arguments(path, file, image, options),
        };
        let words = args.iter().map(|word| word.to_string_lossy());
        words.fold(self.program.clone(), |line, word| line + " " + &word)
    }

    /// Builds an image.
    ///
    /// # Errors
    /// The engine or its daemon is missing, the build fails, or the user interrupts it.
    pub async fn build(
        &self,
        context: &PreparedContext,
        image: &Reference,
        options: &BuildOptions,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<(), Error> {
        let mut args = arguments(&context.path, context.dockerfile.as_deref(), image, options);
        if self.keeps_images_elsewhere().await {
            args.insert(1, "--load".into());
        }
        let exit = self.process().run(&args, 1, interrupt).await?;
        if !exit.is_success() {
            self.check_daemon().await?;
        }
        exit.into_result()
    }

    /// Whether the program is docker itself.
    pub(super) fn is_docker(&self) -> bool {
        Path::new(&self.program).file_stem().is_some_and(|name| name == "docker")
    }

    /// Whether the builder is one of buildx that leaves no image in docker's store by itself: a later
    /// push would not find it, or push an older one of that tag.
    async fn keeps_images_elsewhere(&self) -> bool {
        // Without BuildKit there is no such flag.
        if !self.is_docker() || std::env::var_os("DOCKER_BUILDKIT").is_some_and(|value| value == "0") {
            return false;
        }
        let about = self.process().query(&["buildx", "inspect"]).await.unwrap_or_default();
        let mut drivers = about.lines().filter_map(|line| line.trim().strip_prefix("Driver:"));
        drivers.next().is_some_and(|driver| driver.trim() != "docker")
    }

    /// Pushes an image to the registry in its name.
    ///
    /// # Errors
    /// [`Error::PushDenied`] if a login may help, [`Error::PushFailed`], [`Error::EngineDown`],
    /// [`Error::Interrupted`].
    pub async fn push(&self, image: &Reference, interrupt: &mut Interrupt<'_>) -> Result<(), Error> {
        let args = ["push".into(), image.to_string().into()];
        let exit = self.process().run_and_listen(&args, 1, interrupt).await?;
        if exit.is_success() {
            return Ok(());
        }
        let (text, registry) = (image.to_string(), image.registry().to_owned());
        if let Some(reason) = denial(&exit) {
            return Err(Error::PushDenied { image: text, registry, reason });
        }
        self.check_daemon().await?;
        Err(Error::PushFailed { image: text, registry, reason: exit.reason() })
    }

    /// `OS/ARCHITECTURE` of an image in the engine's store; `None` if the engine does not say.
    pub async fn platform(&self, image: &Reference) -> Option<String> {
        let platform = self.inspect(image, "{{.Os}}/{{.Architecture}}").await?;
        platform
            .split_once('/')
            .is_some_and(|(os, arch)| !os.is_empty() && !arch.is_empty())
            .then_some(platform)
    }

    /// The pushed image, pinned to its digest; `None` if the engine reports no digest, or several.
    ///
    /// A node that already has an image with the same tag does not pull it again; a new digest it
    /// has to pull.
    pub async fn pushed(&self, image: &Reference) -> Option<Reference> {
        let digests: Vec<String> =
            serde_json::from_str(&self.inspect(image, "{{json .RepoDigests}}").await?).ok()?;
        let mut digests = digests.iter().filter_map(|digest| {
            let (name, digest) = digest.split_once('@')?;
            is_same_name(name, image).then(|| image.pinned(digest).ok())?
        });
        digests.next().filter(|_| digests.next().is_none())
    }

    /// `OS/ARCHITECTURE` of all platforms that an image is for, as its registry says.
    ///
    /// # Errors
    /// Why the registry does not tell, in the engine's words.
    pub async fn platforms(&self, image: &Reference) -> Result<BTreeSet<String>, String> {
        let name = image.to_string();
        // As its daemon does: a registry on this machine needs no TLS.
        let insecure: &[&str] =
            if platforms::is_on_this_machine(image.registry()) { &["--insecure"] } else { &[] };
        let verbose = [&["manifest", "inspect", "--verbose"], insecure, &[&name]].concat();
        let asked = match self.process().query(&verbose).await {
            // Podman has no such flags, and shows lists only.
            Err(error) => self.process().query(&["manifest", "inspect", &name]).await.map_err(|_| error),
            asked => asked,
        };
        let found = platforms::read(&asked?);
        if found.is_empty() { Err("the registry does not say".to_owned()) } else { Ok(found) }
    }

    /// The entry point of an image and its command: as its registry says, which is what nodes pull,
    /// otherwise as the image is in the engine's store.
    ///
    /// # Errors
    /// [`Error::NoEntryPoint`] if neither tells.
    pub async fn entry_point(&self, image: &Reference) -> Result<Vec<String>, Error> {
        let name = image.to_string();
        let asked = ["buildx", "imagetools", "inspect", "--format", "{{json .Image}}", &name];
        let answer = self.process().query(&asked).await.ok();
        if let Some(words) = answer.and_then(|text| entry_point::read(&text)) {
            return Ok(words);
        }
        let answer = self.inspect(image, "{{json .Config}}").await;
        let no_answer = || Error::NoEntryPoint { image: name.clone(), program: self.program.clone() };
        answer.and_then(|text| entry_point::read(&text)).ok_or_else(no_answer)
    }

    async fn inspect(&self, image: &Reference, format: &str) -> Option<String> {
        self.process().query(&["image", "inspect", "--format", format, &image.to_string()]).await.ok()
    }

    /// Fails if the daemon does not answer. Called only after a command has failed, to find out
    /// whether the daemon is the reason. `version` succeeds with engines that have no daemon.
    pub(super) async fn check_daemon(&self) -> Result<(), Error> {
        let answer = self.process().query(&["version"]).await;
        let down = |reason| Error::EngineDown { program: self.program.clone(), reason };
        answer.map(drop).map_err(down)
    }

    pub(super) fn process(&self) -> Subprocess<'_> {
        Subprocess { program: &self.program, tool: Tool::Engine, output: self.output }
    }
}

/// The command line that builds an image.
pub(super) fn arguments(
    path: &Path,
    file: Option<&Path>,
    image: &Reference,
    options: &BuildOptions,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["build".into(), "--tag".into(), image.to_string().into()];
    if !options.platforms.is_empty() {
        args.extend(["--platform".into(), options.platforms.join(",").into()]);
    }
    args.extend(options.build_args.iter().flat_map(|value| ["--build-arg".into(), value.into()]));
    args.extend(options.secrets.iter().flat_map(|value| ["--secret".into(), value.into()]));
    args.extend(options.ssh.iter().flat_map(|value| ["--ssh".into(), value.into()]));
    args.extend(options.no_cache.then(|| "--no-cache".into()));
    args.extend(file.iter().flat_map(|file| ["--file".into(), file.into()]));
    args.push(path.into());
    args
}

/// The output line in which a registry says that the user may not push.
fn denial(exit: &Exit) -> Option<String> {
    const WORDS: [&str; 5] = [
        "unauthorized",
        "denied",
        "no basic auth credentials",
        "authentication required",
        "authorization failed",
    ];
    let is_denial = |line: &&String| WORDS.iter().any(|word| line.to_lowercase().contains(word));
    exit.last_lines.iter().rfind(is_denial).cloned()
}

/// Whether an engine's full name of an image means ours. Engines differ in how much of
/// `docker.io/library/` they print.
fn is_same_name(full: &str, image: &Reference) -> bool {
    let short = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name).to_owned()
    };
    short(full) == short(&image.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_names_are_recognised() {
        let image: Reference = "worker:1".parse().expect("legal");
        assert!(is_same_name("docker.io/library/worker", &image) && is_same_name("worker", &image));
        assert!(!is_same_name("127.0.0.1:5000/worker", &image));
    }
}
