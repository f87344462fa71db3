//! `doctor`: checks before anything is started.

use std::time::Duration;

use clap::{Args, ValueHint};

use super::flags::{ChartFlags, ClusterFlags, OutputFlags, QueueSpecFlags, RememberFlags, duration};
use crate::doctor::{DoctorPlan, RunImages, examine};
use crate::image::{Engine, OutputMode, Reference};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::doctor::DoctorJson;
use crate::ui::reports::doctor as words;

/// Check what would go wrong, before anything is started
///
/// Prints a line for each check, and what to do if it found something: the API server, your rights, the
/// namespace's quotas and rules, storage, the images, and the broker if there is one. The checks are
/// about the release as `up` would install it with the same values, and about runs of --image.
///
/// Changes nothing that stays. To see whether the nodes can pull the images and whether port-forward
/// works, it creates pods for a moment, unless --no-pods is given.
///
/// Exits with 1 if a check found an error. What you are not allowed to look at is `unknown`, and no
/// error.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check this image for the workers, too
    #[arg(long, value_name = "REF")]
    image: Option<Reference>,
    /// Check this image, too, from which `run` adds `workqueue-worker` to the pods
    #[arg(long, value_name = "REF", requires = "image")]
    worker_image: Option<Reference>,
    #[command(flatten)]
    queue: QueueSpecFlags,
    /// Create no pods: whether the nodes can pull the images is not checked
    #[arg(long)]
    no_pods: bool,
    #[command(flatten)]
    chart: ChartFlags,
    #[command(flatten)]
    remember: RememberFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Ask this container engine what images are for; it has the command line of docker
    #[arg(long, value_name = "PROGRAM", default_value = "docker", value_hint = ValueHint::CommandName)]
    docker: String,
    /// Wait this long for the nodes to pull the images
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    timeout: Duration,
}

pub async fn run(args: DoctorArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let text = |image: &Option<Reference>| image.as_ref().map(ToString::to_string);
    let plan = DoctorPlan {
        release: args.cluster.release.clone(),
        chart: args.chart.plan(),
        remember: args.remember.remember(),
        images: RunImages {
            worker: text(&args.image),
            inject: text(&args.worker_image),
            brings_worker: args.image.is_some() && args.worker_image.is_none(),
        },
        queue: args.queue.spec(),
        engine: Engine { program: args.docker.clone(), output: OutputMode::Kept },
        pods: !args.no_pods,
        timeout: args.timeout,
    };
    let is_json = args.output.is_json();
    let mut found = |finding: &_| {
        if !is_json {
            ui.finding(&words::style(finding), &words::word(finding), &words::text(finding));
        }
    };
    let mut report = examine(&cluster, &plan, ui, &mut found, stopped(ui)).await?;
    ui.done();
    if is_json {
        for finding in &mut report.findings {
            finding.message = ui.completed(&finding.message);
            finding.hint = finding.hint.as_deref().map(|hint| ui.completed(hint));
        }
        ui.json(&DoctorJson::of(&cluster, &plan.release, &report));
    }
    ui.status(&words::summary(&report));
    Ok(match (report.interrupted, words::has_errors(&report)) {
        (true, _) => ExitStatus::Interrupted,
        (false, true) => ExitStatus::Error,
        (false, false) => ExitStatus::Success,
    })
}

/// Waits until the user stops the command, or closes its terminal: trial pods are deleted then, too.
async fn stopped(ui: &Ui) {
    tokio::select! {
        () = ui.interrupted() => {}
        () = hung_up() => {}
    }
}

/// Waits until the terminal is closed. On Windows, that stops any command as Ctrl-C does.
async fn hung_up() {
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        hangup.recv().await;
        return;
    }
    std::future::pending().await
}
