//! The report of `build`.

use crate::build::{BuildPlan, BuildReport, Place};

/// Where an image is, and what is left to do.
pub fn summary(plan: &BuildPlan, report: &BuildReport) -> String {
    let BuildPlan { image, engine, .. } = plan;
    match &report.place {
        Place::Registry => format!("image {image} is pushed"),
        Place::Nodes(cluster) => format!("image {image} is loaded into {cluster}"),
        Place::Engine => format!(
            "image {image} is built, but the nodes do not have it yet; push it, or build with --push:\n  \
             {} push {image}",
            engine.program
        ),
    }
}
