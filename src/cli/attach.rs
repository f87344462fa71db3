//! `attach`: follows a run that is under way.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, Output, duration};
use super::report::run_end;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::deadline_after;
use crate::run::follow::{IfStuck, follow};
use crate::run::logs::find_run;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Follow a run to its end: logs, progress and exit code
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run (default: the last one that was started)
    run: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Stop following after this time (0: never); the Job goes on
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: AttachArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let job = find_run(&cluster, &args.cluster.release, args.run.as_deref()).await?;
    let deadline = deadline_after(args.timeout);
    let if_stuck = left_alone(&job);
    let report =
        follow(&cluster, &args.cluster.release, job, deadline, ui, ui.interrupted(), IfStuck::Leave).await;
    run_end(ui, &report.map_err(if_stuck)?, args.output.is_json())
}

/// What to tell the user when following a run failed that somebody else may have started: where its
/// pods cannot start, it is for them to end it.
pub(super) fn left_alone(job: &JobState) -> impl FnOnce(Error) -> Failure + use<> {
    let jobs = job.names().collect::<Vec<_>>().join(" ");
    move |error| {
        let hint = matches!(error, Error::WorkersStuck { .. }).then(|| {
            format!(
                "the run is left as it is, and its pods try again: mend the image, or stop the run with: \
                 kubectl delete job {jobs}"
            )
        });
        let failure = Failure::from(error);
        Failure { hint: hint.or(failure.hint), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_stuck_is_left_alone() {
        let [name, more] = ["w-r1", "w-r1-2"].map(str::to_owned);
        let job = JobState { name, more: vec![more], ..JobState::default() };
        let failure = left_alone(&job)(Error::WorkersStuck { reason: "pod p: ErrImagePull".to_owned() });
        assert_eq!(failure.message, "the workers cannot start: pod p: ErrImagePull");
        assert_eq!(failure.status, ExitStatus::JobFailed);
        assert!(failure.hint.expect("one").ends_with("kubectl delete job w-r1 w-r1-2"));
        let other = Error::NoRun(None);
        let hint = Failure::from(Error::NoRun(None)).hint;
        assert_eq!(left_alone(&job)(other).hint, hint);
    }
}
