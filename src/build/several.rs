//! Builds an image for several platforms, and pushes it.

use super::BuildPlan;
use crate::error::Error;
use crate::image::{Interrupt, Reference};

/// Builds in one go where docker can. Otherwise each platform is built and pushed by itself, with the worker for it
/// alone, since older builders do not know in the Dockerfile which platform they build for.
pub(super) async fn build(plan: &BuildPlan, interrupt: &mut Interrupt<'_>) -> Result<Reference, Error> {
    let BuildPlan { image, engine, options, .. } = plan;
    // What is missing for one of them is said before anything is pushed.
    let context = plan.open_context()?;
    if engine.has_buildx().await? {
        let context = context.prepare()?;
        return Ok(engine.build_at_once(&context, image, options, interrupt).await?);
    }
    let mut parts = Vec::new();
    for platform in &options.platforms {
        let (part, options) = (image.for_platform(platform), options.of_one(platform));
        let context = plan.context_for(&options.platforms)?.prepare()?;
        engine.build(&context, &part, &options, interrupt).await?;
        engine.push(&part, interrupt).await?;
        parts.push(part);
    }
    Ok(engine.push_list(image, &parts).await?)
}
