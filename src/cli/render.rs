//! `render`: prints every manifest for review.

use clap::Args;

use super::flags::{ChartFlags, ClusterFlags};
use crate::release::manifests::{DEFAULT_KUBE_VERSION, render};
use crate::release::worker_maps;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Print the manifests that `up` would apply, as YAML
///
/// Contacts no cluster. The Secrets with the credentials are not part of the output: `up` creates them
/// with random passwords, unless values set one (auth.existingSecret, auth.password).
#[derive(Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    chart: ChartFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    /// Render for this version of Kubernetes
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_KUBE_VERSION, help_heading = "Chart")]
    kube_version: String,
    /// Print the ConfigMaps with the worker, too, which `run` creates otherwise. They are too large for
    /// anything but `kubectl apply --server-side`
    #[arg(long, help_heading = "Chart")]
    with_worker: bool,
}

pub async fn run(args: RenderArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let plan = args.chart.plan();
    let chart = plan.load_chart()?;
    let values = plan.load_values(&chart)?;
    let namespace = args.cluster.offline_namespace().await;
    let version = if args.kube_version.is_empty() { DEFAULT_KUBE_VERSION } else { &args.kube_version };
    let rendered = render(&chart, &values, &args.cluster.release, &namespace, version)?;
    let mut yaml = rendered.to_yaml();
    if args.with_worker {
        yaml += &worker_maps::to_yaml(&args.cluster.release, &namespace)?;
    }
    ui.data(yaml.strip_suffix('\n').unwrap_or(&yaml).as_bytes());
    Ok(ExitStatus::Success)
}
