//! The container engine's command line: docker, or a program that takes the same words.

use std::ffi::OsString;
use std::path::Path;

use super::context::{Context, Prepared};
use super::process::{Ended, Interrupt, Output, Process};
use super::{Error, Reference, Role};

/// A container engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The program, such as `docker`, `podman` or `nerdctl`.
    pub program: String,
    /// What becomes of its output.
    pub output: Output,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// `OS/ARCHITECTURE` of the image; without it, the engine's own.
    pub platform: Option<String>,
    /// `NAME=VALUE` pairs for the Dockerfile's ARGs.
    pub build_args: Vec<String>,
    /// Build every step anew.
    pub no_cache: bool,
}

impl Engine {
    /// The command line that builds an image, for people to read.
    pub fn build_line(&self, context: &Context, image: &Reference, options: &BuildOptions) -> String {
        let (path, file) = context.location();
        let args = arguments(path, file, image, options);
        let words = args.iter().map(|word| word.to_string_lossy());
        words.fold(self.program.clone(), |line, word| line + " " + &word)
    }

    /// Builds an image.
    ///
    /// # Errors
    /// No engine, no daemon, a build that fails, an interrupt.
    pub async fn build(
        &self,
        context: &Prepared,
        image: &Reference,
        options: &BuildOptions,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<(), Error> {
        let args = arguments(&context.path, context.dockerfile.as_deref(), image, options);
        let ended = self.process().run(&args, 1, interrupt).await?;
        if !ended.is_success() {
            self.refuse_dead_daemon().await?;
        }
        ended.success()
    }

    /// Pushes an image to the registry in its name.
    ///
    /// # Errors
    /// [`Error::PushDenied`] where a login may help, [`Error::PushFailed`], no daemon, an interrupt.
    pub async fn push(&self, image: &Reference, interrupt: &mut Interrupt<'_>) -> Result<(), Error> {
        let args = ["push".into(), image.to_string().into()];
        let ended = self.process().run_and_listen(&args, 1, interrupt).await?;
        if ended.is_success() {
            return Ok(());
        }
        let (text, registry) = (image.to_string(), image.registry().to_owned());
        if let Some(reason) = denial(&ended) {
            return Err(Error::PushDenied { image: text, registry, reason });
        }
        self.refuse_dead_daemon().await?;
        Err(Error::PushFailed { image: text, registry, reason: ended.reason() })
    }

    /// `OS/ARCHITECTURE` of an image that the engine has; `None` if it does not tell.
    pub async fn platform(&self, image: &Reference) -> Option<String> {
        let platform = self.inspect(image, "{{.Os}}/{{.Architecture}}").await?;
        platform
            .split_once('/')
            .is_some_and(|(os, arch)| !os.is_empty() && !arch.is_empty())
            .then_some(platform)
    }

    /// The image that was pushed, pinned to its content; `None` if the engine does not tell, or
    /// tells more than one.
    ///
    /// A node that has an image of the same tag does not pull it again; a digest it has to.
    pub async fn pushed(&self, image: &Reference) -> Option<Reference> {
        let digests: Vec<String> =
            serde_json::from_str(&self.inspect(image, "{{json .RepoDigests}}").await?).ok()?;
        let mut digests = digests.iter().filter_map(|digest| {
            let (name, digest) = digest.split_once('@')?;
            is_same_name(name, image).then(|| image.pinned(digest).ok())?
        });
        digests.next().filter(|_| digests.next().is_none())
    }

    async fn inspect(&self, image: &Reference, format: &str) -> Option<String> {
        self.process().query(&["image", "inspect", "--format", format, &image.to_string()]).await.ok()
    }

    /// Tells a daemon that does not answer from a command that failed. Asked only after a
    /// failure: engines without a daemon exist, and `version` succeeds there.
    async fn refuse_dead_daemon(&self) -> Result<(), Error> {
        let answer = self.process().query(&["version"]).await;
        let down = |reason| Error::EngineDown { program: self.program.clone(), reason };
        answer.map(drop).map_err(down)
    }

    fn process(&self) -> Process<'_> {
        Process { program: &self.program, role: Role::Engine, output: self.output }
    }
}

fn arguments(path: &Path, file: Option<&Path>, image: &Reference, options: &BuildOptions) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["build".into(), "--tag".into(), image.to_string().into()];
    args.extend(options.platform.iter().flat_map(|value| ["--platform".into(), value.into()]));
    args.extend(options.build_args.iter().flat_map(|value| ["--build-arg".into(), value.into()]));
    args.extend(options.no_cache.then(|| "--no-cache".into()));
    args.extend(file.iter().flat_map(|file| ["--file".into(), file.into()]));
    args.push(path.into());
    args
}

/// The line in which a registry says that the user may not push.
fn denial(ended: &Ended) -> Option<String> {
    const WORDS: [&str; 5] = [
        "unauthorized",
        "denied",
        "no basic auth credentials",
        "authentication required",
        "authorization failed",
    ];
    let is_denial = |line: &&String| WORDS.iter().any(|word| line.to_lowercase().contains(word));
    ended.last_lines.iter().rfind(is_denial).cloned()
}

/// Whether an engine's full name of an image is ours: engines differ in what they write out of
/// `docker.io/library/`.
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
