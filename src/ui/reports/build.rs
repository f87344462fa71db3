//! The report of `build`.

use crate::build::{BuildPlan, BuildReport, ImageLocation};

/// Where an image is, and what is left to do.
pub fn summary(plan: &BuildPlan, report: &BuildReport) -> String {
    let BuildPlan { image, engine, .. } = plan;
    match &report.location {
        ImageLocation::Registry => format!("image {image} is pushed"),
        ImageLocation::Nodes(cluster) => format!("image {image} is loaded into {cluster}"),
        ImageLocation::Engine => format!(
            "image {image} is built, but the nodes do not have it yet; push it, or build with --push:\n  \
             {} push {image}",
            engine.program
        ),
    }
}
