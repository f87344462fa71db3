//! One image for several platforms: built and pushed in one go with buildx, otherwise platform by platform, with a
//! list of them all in the registry.
//!
//! Such an image exists in a registry only. The store of an engine holds it not at all, or only with
//! containerd's images.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::build_context::PreparedContext;
use super::engine::arguments;
use super::subprocess::Interrupt;
use super::{BuildOptions, Engine, Error, Reference, platforms};

/// How long it may take to write the list of platforms: some requests to a registry.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);

/// What buildx writes the digest of an image under (docker buildx build, `--metadata-file`).
const DIGEST: &str = "containerimage.digest";

impl Engine {
    /// Whether it builds for several platforms in one go.
    ///
    /// # Errors
    /// [`Error::OnePlatform`] if it is an engine that is not known to do so in any way.
    pub async fn has_buildx(&self) -> Result<bool, Error> {
        if !self.is_docker() {
            return Err(Error::OnePlatform { program: self.program.clone() });
        }
        Ok(self.process().query(&["buildx", "version"]).await.is_ok())
    }

    /// Builds an image for all platforms of the options with buildx, and pushes it. Returns it, pinned to its
    /// digest if that is known.
    ///
    /// # Errors
    /// As for [`build`](Self::build). A push that fails is one, too.
    pub async fn build_at_once(
        &self,
        context: &PreparedContext,
        image: &Reference,
        options: &BuildOptions,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Reference, Error> {
        let write_error = |source| Error::Write { path: std::env::temp_dir(), source };
        let metadata = tempfile::NamedTempFile::new().map_err(write_error)?;
        let mut args = buildx_arguments(&context.path, context.dockerfile.as_deref(), image, options);
        args.splice(2..2, ["--metadata-file".into(), metadata.path().into()]);
        let exit = self.process().run(&args, 2, interrupt).await?;
        if !exit.is_success() {
            self.check_daemon().await?;
        }
        exit.into_result()?;
        let digest = std::fs::read(metadata.path()).ok().and_then(|text| digest_in(&text));
        Ok(digest.and_then(|digest| image.pinned(&digest).ok()).unwrap_or_else(|| image.clone()))
    }

    /// Writes the list of an image's platforms, which were pushed as `parts`, to the registry. Returns the image,
    /// pinned to the list's digest if that is known.
    ///
    /// # Errors
    /// [`Error::PushFailed`].
    pub async fn push_list(&self, image: &Reference, parts: &[Reference]) -> Result<Reference, Error> {
        let name = image.to_string();
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        // As its daemon does: a registry on this machine needs no TLS.
        let insecure: &[&str] =
            if platforms::is_on_this_machine(image.registry()) { &["--insecure"] } else { &[] };
        let failed =
            |reason| Error::PushFailed { image: name.clone(), registry: image.registry().to_owned(), reason };
        // An attempt that failed may have left one, with other platforms.
        self.process().query(&["manifest", "rm", &name]).await.ok();
        let create = [&["manifest", "create"], insecure, &[&name]].concat();
        let create: Vec<&str> = create.into_iter().chain(parts.iter().map(String::as_str)).collect();
        self.process().query_within(LIST_TIMEOUT, &create).await.map_err(failed)?;
        let push = [&["manifest", "push", "--purge"], insecure, &[&name]].concat();
        let said = self.process().query_within(LIST_TIMEOUT, &push).await.map_err(failed)?;
        let digest = said.lines().last().unwrap_or_default();
        Ok(image.pinned(digest).unwrap_or_else(|_| image.clone()))
    }
}

impl BuildOptions {
    /// The options for one of the platforms. Builders without BuildKit do not know its name by themselves, and
    /// take steps of other platforms from their cache.
    pub fn of_one(&self, platform: &str) -> Self {
        let architecture = platform.split('/').nth(1).unwrap_or(platform);
        let mut options = Self { platforms: vec![platform.to_owned()], no_cache: true, ..self.clone() };
        options.build_args.push(format!("TARGETARCH={architecture}"));
        options
    }
}

/// The command line of buildx.
pub(super) fn buildx_arguments(
    path: &Path,
    file: Option<&Path>,
    image: &Reference,
    options: &BuildOptions,
) -> Vec<OsString> {
    let mut args = arguments(path, file, image, options);
    args.splice(0..1, ["buildx".into(), "build".into(), "--push".into()]);
    args
}

fn digest_in(metadata: &[u8]) -> Option<String> {
    let metadata: Value = serde_json::from_slice(metadata).ok()?;
    metadata[DIGEST].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_read_from_what_buildx_wrote() {
        let metadata = br#"{"buildx.build.ref": "b", "containerimage.digest": "sha256:00ff"}"#;
        assert_eq!(digest_in(metadata).as_deref(), Some("sha256:00ff"));
        assert_eq!((digest_in(b""), digest_in(b"{}")), (None, None));
    }
}
