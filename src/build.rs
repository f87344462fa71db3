//! Builds a worker image and pushes it to a registry, or loads it into a local cluster.

mod nodes;
mod several;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;

use crate::cluster::Target;
use crate::cluster::kubeconfig::ContextNames;
use crate::error::Error;
use crate::image::{
    self, BuildContext, BuildOptions, Engine, Interrupt, LocalCluster, Reference, WorkerBinary,
};
use crate::notice::Observer;
use nodes::{node_platforms, short, warn_of_misfit};

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
        self.context_for(&self.options.platforms)
    }

    /// The build context for some of the platforms.
    fn context_for(&self, platforms: &[String]) -> Result<BuildContext, Error> {
        let workers = match &self.worker {
            Some(_) if self.is_for_several() => return Err(image::Error::OneWorker.into()),
            Some(path) => vec![WorkerBinary::at(path)?],
            None => WorkerBinary::for_platforms(platforms),
        };
        let path = match &self.source {
            ImageSource::Path(path) => path,
            ImageSource::Worker if workers.is_empty() => return Err(image::Error::NoWorker.into()),
            ImageSource::Worker => return Ok(BuildContext::of_worker(&workers)),
        };
        let base_image = self.base_image.as_ref().map(ToString::to_string);
        Ok(BuildContext::open(path, base_image.as_deref(), &workers)?)
    }

    /// The command lines of a build, to be printed. A single program is built in a temporary
    /// directory, for which the line says `DIRECTORY`.
    pub fn command_lines(&self, context: &BuildContext, target: &Target) -> Vec<String> {
        let Self { image, engine, options, .. } = self;
        let build = engine.build_line(context, image, options);
        let next = match self.loads_into(target) {
            Some(cluster) => Some(cluster.command(image).join(" ")),
            // It is pushed as it is built.
            None if self.is_for_several() => None,
            None => (self.push != Push::Never).then(|| format!("{} push {image}", engine.program)),
        };
        std::iter::once(build).chain(next).collect()
    }

    /// Whether the image is for several platforms.
    fn is_for_several(&self) -> bool {
        self.options.platforms.len() > 1
    }

    /// Checks that an image for several platforms goes to a registry: it can be nowhere else.
    fn check_place(&self, target: &Target) -> Result<(), Error> {
        let place = match self.loads_into(target) {
            _ if !self.is_for_several() => return Ok(()),
            Some(cluster) => cluster.to_string(),
            None if self.push == Push::Never => format!("the store of {}", self.engine.program),
            None => return Ok(()),
        };
        Err(image::Error::SeveralPlatforms { place }.into())
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
    plan.check_place(target)?;
    let mut interrupt: Interrupt<'_> = Box::pin(interrupt);
    if plan.is_for_several() {
        let building = several::build(plan, &mut interrupt);
        let (built, nodes) = tokio::join!(building, node_platforms(target));
        let image = built?;
        warn_of_misfit(&options.platforms.iter().map(|platform| short(platform)).collect(), &nodes, observer);
        return Ok(BuildReport { image, location: ImageLocation::Registry });
    }
    let context = plan.open_context()?.prepare()?;
    let building = engine.build(&context, image, options, &mut interrupt);
    let (built, nodes) = tokio::join!(building, node_platforms(target));
    built?;
    // Deletes the temporary copy of a program.
    drop(context);
    if let Some(platform) = engine.platform(image).await {
        warn_of_misfit(&BTreeSet::from([platform]), &nodes, observer);
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
