//! Builds a worker image and brings it to where the nodes find it: a registry, or a local cluster.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::kubeconfig::ContextNames;
use crate::cluster::{Cluster, Target};
use crate::error::Error;
use crate::image::{self, BuildOptions, Context, Engine, Interrupt, LocalCluster, Reference, Worker};
use crate::notice::{Observer, Warning};

/// How long the nodes may take to tell their architecture; without it there is no warning.
const NODES_TIMEOUT: Duration = Duration::from_secs(5);

/// What to build, and where it goes.
pub struct BuildPlan {
    /// What the image is made of.
    pub source: Source,
    /// The static worker to put beside a lone program, instead of the one that is found.
    pub worker: Option<PathBuf>,
    /// The image to build a lone program on, instead of the one for its interpreter.
    pub base_image: Option<Reference>,
    /// The image's name.
    pub image: Reference,
    /// The engine that builds.
    pub engine: Engine,
    /// How to build.
    pub options: BuildOptions,
    /// Whether to push.
    pub push: Push,
}

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory with a Dockerfile, or a lone program.
    Path(PathBuf),
    /// The static worker alone.
    Worker,
}

/// Whether an image is pushed. One that is not is loaded into the cluster if that is a local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It is.
    Always,
    /// Unless it can be loaded.
    UnlessLoaded,
    /// It is not.
    Never,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildReport {
    /// The image to run: pinned to its content where the registry told it.
    pub image: Reference,
    /// Where it is.
    pub place: Place,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In its registry.
    Registry,
    /// On the nodes of a local cluster.
    Nodes(LocalCluster),
    /// In the engine alone.
    Engine,
}

impl BuildPlan {
    /// Looks at the context.
    ///
    /// # Errors
    /// A context that cannot be built.
    pub fn open_context(&self) -> Result<Context, Error> {
        let worker = match &self.worker {
            Some(path) => Some(Worker::at(path)?),
            None => Worker::find().filter(|worker| worker.fits(self.options.platform.as_deref())),
        };
        let path = match &self.source {
            Source::Path(path) => path,
            Source::Worker => return Ok(Context::of_worker(&worker.ok_or(image::Error::NoWorker)?)),
        };
        let base_image = self.base_image.as_ref().map(ToString::to_string);
        Ok(Context::open(path, base_image.as_deref(), worker.as_ref())?)
    }

    /// The command lines of a build, for people to read; a lone program is built in a directory
    /// for the time being.
    pub fn command_lines(&self, context: &Context, target: &Target) -> Vec<String> {
        let Self { image, engine, options, .. } = self;
        let build = engine.build_line(context, image, options);
        let next = match self.loads_into(target) {
            Some(cluster) => Some(cluster.command(image).join(" ")),
            None => (self.push != Push::Never).then(|| format!("{} push {image}", engine.program)),
        };
        std::iter::once(build).chain(next).collect()
    }

    /// The local cluster that the image would be loaded into.
    pub fn loads_into(&self, target: &Target) -> Option<LocalCluster> {
        if self.push == Push::Always {
            return None;
        }
        let names = ContextNames::of(target)?;
        LocalCluster::detect(&names.context, &names.cluster, names.provider.as_deref())
    }
}

/// Builds, and pushes or loads.
///
/// # Errors
/// A context that cannot be built, an engine that fails, a registry that refuses, an interrupt.
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
    // A program's copy is of no more use.
    drop(context);
    if let Some(platform) = engine.platform(image).await
        && fits_none(&platform, &nodes)
    {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        observer.warn(Warning::ImageMisfit { image: &platform, nodes: &nodes });
    }
    if let Some(cluster) = plan.loads_into(target) {
        cluster.load(image, engine.output, &mut interrupt).await?;
        return Ok(BuildReport { image: image.clone(), place: Place::Nodes(cluster) });
    }
    if plan.push == Push::Never {
        return Ok(BuildReport { image: image.clone(), place: Place::Engine });
    }
    engine.push(image, &mut interrupt).await?;
    let pinned = engine.pushed(image).await.unwrap_or_else(|| image.clone());
    Ok(BuildReport { image: pinned, place: Place::Registry })
}

/// The nodes' platforms; none if there is no cluster, or the user may not list its nodes.
async fn node_platforms(target: &Target) -> BTreeSet<String> {
    let asking = async { Cluster::connect(target).await?.node_platforms().await };
    tokio::time::timeout(NODES_TIMEOUT, asking).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// Whether an image fits none of the nodes; of no nodes nothing is known.
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
