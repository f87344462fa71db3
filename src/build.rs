//! Builds a worker image and pushes it to a registry, or loads it into a local cluster.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::kubeconfig::ContextNames;
use crate::cluster::{Cluster, Target};
use crate::error::Error;
use crate::image::{
    self, BuildContext, BuildOptions, Engine, Interrupt, LocalCluster, Reference, WorkerBinary,
};
use crate::notice::{Observer, Warning};

/// How long listing the nodes may take. If it takes longer, a misfit of architectures is not
/// detected.
const NODES_TIMEOUT: Duration = Duration::from_secs(5);

/// What to build, and where it goes.
pub struct BuildPlan {
    pub source: ImageSource,
    /// The static worker to add to the image of a single program; `None` to look for one.
    pub worker: Option<PathBuf>,
    /// The base image for a single program; `None` for the default of its interpreter.
    pub base_image: Option<Reference>,
    pub image: Reference,
    pub engine: Engine,
    pub options: BuildOptions,
    pub push: Push,
}

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A directory with a Dockerfile, or a single program.
    Path(PathBuf),
    /// Only the static worker.
    Worker,
}

/// Whether to push the image. If it is not pushed, it is loaded into the cluster if that is local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    Always,
    /// Push only if the cluster is not a local one.
    UnlessLoaded,
    Never,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildReport {
    /// The image to run, pinned to its digest if that is known after the push.
    pub image: Reference,
    pub location: ImageLocation,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLocation {
    Registry,
    /// On the nodes of a local cluster.
    Nodes(LocalCluster),
    /// Only in the engine's own store.
    Engine,
}

impl BuildPlan {
    /// Opens the build context.
    ///
    /// # Errors
    /// A context that cannot be built.
    pub fn open_context(&self) -> Result<BuildContext, Error> {
        let worker = match &self.worker {
            Some(path) => Some(WorkerBinary::at(path)?),
            None => WorkerBinary::for_platform(self.options.platform.as_deref()),
        };
        let path = match &self.source {
            ImageSource::Path(path) => path,
            ImageSource::Worker => {
                return Ok(BuildContext::of_worker(&worker.ok_or(image::Error::NoWorker)?));
            }
        };
        let base_image = self.base_image.as_ref().map(ToString::to_string);
        Ok(BuildContext::open(path, base_image.as_deref(), worker.as_ref())?)
    }

    /// The command lines of a build, to be printed. A single program is built in a temporary
    /// directory, for which the line says `DIRECTORY`.
    pub fn command_lines(&self, context: &BuildContext, target: &Target) -> Vec<String> {
        let Self { image, engine, options, .. } = self;
        let build = engine.build_line(context, image, options);
        let next = match self.loads_into(target) {
            Some(cluster) => Some(cluster.command(image).join(" ")),
            None => (self.push != Push::Never).then(|| format!("{} push {image}", engine.program)),
        };
        std::iter::once(build).chain(next).collect()
    }

    /// The local cluster that the image is loaded into, if it is.
    pub fn loads_into(&self, target: &Target) -> Option<LocalCluster> {
        if self.push == Push::Always {
            return None;
        }
        let names = ContextNames::of(target)?;
        LocalCluster::detect(&names.context, &names.cluster, names.provider.as_deref())
    }
}

/// Builds an image, and pushes or loads it.
///
/// # Errors
/// A context that cannot be built, an engine that fails, a registry that refuses the push, an
/// interrupt.
pub async fn build(
    plan: &BuildPlan,
    target: &Target,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<BuildReport, Error> {
    let BuildPlan { image, engine, options, .. } = plan;
    let context = plan.open_context()?.prepare()?;
    let mut interrupt: Interrupt<'_> = Box::pin(interrupt);
    let building = engine.build(&context, image, options, &mut interrupt);
    let (built, nodes) = tokio::join!(building, node_platforms(target));
    built?;
    // Deletes the temporary copy of a program.
    drop(context);
    if let Some(platform) = engine.platform(image).await {
        warn_of_misfit(&platform, &nodes, observer);
    }
    if let Some(cluster) = plan.loads_into(target) {
        cluster.load(image, engine.output, &mut interrupt).await?;
        return Ok(BuildReport { image: image.clone(), location: ImageLocation::Nodes(cluster) });
    }
    if plan.push == Push::Never {
        return Ok(BuildReport { image: image.clone(), location: ImageLocation::Engine });
    }
    engine.push(image, &mut interrupt).await?;
    let pinned = engine.pushed(image).await.unwrap_or_else(|| image.clone());
    Ok(BuildReport { image: pinned, location: ImageLocation::Registry })
}

/// The nodes' platforms; empty if there is no cluster, or if the user may not list its nodes.
async fn node_platforms(target: &Target) -> BTreeSet<String> {
    let asking = async { Cluster::connect(target).await?.node_platforms("").await };
    tokio::time::timeout(NODES_TIMEOUT, asking).await.ok().and_then(Result::ok).unwrap_or_default()
}

fn warn_of_misfit(platform: &str, nodes: &BTreeSet<String>, observer: &dyn Observer) {
    if fits_none(platform, nodes) {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        observer.warn(Warning::ImageMisfit { image: platform, nodes: &nodes });
    }
}

/// Whether an image fits none of the nodes; `false` if no nodes are known.
fn fits_none(platform: &str, nodes: &BTreeSet<String>) -> bool {
    !nodes.is_empty() && !nodes.contains(platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_fits_no_node_is_found() {
        let nodes = BTreeSet::from(["linux/amd64".to_owned(), "linux/arm64".to_owned()]);
        assert!(!fits_none("linux/arm64", &nodes) && !fits_none("linux/arm64", &BTreeSet::new()));
        assert!(fits_none("linux/s390x", &nodes));
    }
}
