//! From an error to what the user sees: one message, one hint, one exit code.

use std::process::ExitCode;

use crate::error::Error;
use crate::{cluster, image};
use helm_template as chart;
use workqueue_core::causes::with_causes;

/// How the program ends. `docs/reference/exit-codes.md` documents the numbers; they do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done.
    Success = 0,
    /// Not done; the message says why.
    Error = 1,
    /// The command line is wrong, or a file that it names.
    Usage = 2,
    /// Not every item was enqueued.
    NotEnqueued = 3,
    /// The Job failed, or was deleted.
    JobFailed = 4,
    /// The deadline passed.
    Deadline = 5,
    /// The run is over, but items have failed or are left.
    ItemsFailed = 6,
    /// The run is over, and its books do not balance: items are gone without an outcome, or nothing
    /// proves what became of them.
    Unproven = 7,
    /// Every item is done, but outputs are not kept as a whole.
    OutputsCut = 8,
    /// The user stopped it with Ctrl-C; a run continues in the cluster.
    Interrupted = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, in one or more lines, without `error:`.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub status: ExitStatus,
}

impl Failure {
    /// A failure with a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), status: ExitStatus::Error }
    }

    /// The same with another exit code.
    pub fn with_status(self, status: ExitStatus) -> Self {
        Self { status, ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl Failure {
    /// The failure that an error is.
    pub fn of(error: &Error) -> Self {
        use Error as E;
        let status = match error {
            E::Deadline { .. } | E::NotStarted { .. } | E::Cluster(cluster::Error::Deadline { .. }) => {
                ExitStatus::Deadline
            }
            E::Cluster(cluster::Error::BrokerNotReady { is_late: true, .. }) => ExitStatus::Deadline,
            E::NoPreset { .. } | E::Read { .. } => ExitStatus::Usage,
            E::Script { .. }
            | E::ScriptTooLarge { .. }
            | E::ScriptEntry { .. }
            | E::NoFirstLine(_)
            | E::NeedsPackages(_)
            | E::Cluster(cluster::Error::ConfigFile(_)) => ExitStatus::Usage,
            E::Image(error) if error.is_about_files() => ExitStatus::Usage,
            E::Chart(error) if is_about_arguments(error.kind()) => ExitStatus::Usage,
            E::WorkersStuck { .. } => ExitStatus::JobFailed,
            E::Item(_) | E::QueueLost { .. } => ExitStatus::NotEnqueued,
            E::Image(image::Error::Interrupted(_)) => ExitStatus::Interrupted,
            _ => ExitStatus::Error,
        };
        Self { message: message(error), hint: error.hint(), status }
    }
}

/// Whether what the user gave is wrong: values, or a directory that holds no chart.
fn is_about_arguments(kind: chart::ErrorKind) -> bool {
    use chart::ErrorKind as K;
    matches!(kind, K::Values | K::Schema | K::Refused | K::Chart)
}

/// The message: the error with its causes, and the state of pods on lines of its own.
fn message(error: &Error) -> String {
    let line = with_causes(error);
    match error {
        Error::Cluster(cluster::Error::BrokerNotReady { diagnosis, .. }) => {
            format!("{line}\n{diagnosis}")
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        use ExitStatus as E;
        let page = include_str!("../../docs/reference/exit-codes.md");
        let all = [
            E::Success,
            E::Error,
            E::Usage,
            E::NotEnqueued,
            E::JobFailed,
            E::Deadline,
            E::ItemsFailed,
            E::Unproven,
            E::OutputsCut,
            E::Interrupted,
        ];
        for status in all {
            let row = format!("| {} |", status as u8);
            assert!(page.contains(&row), "{status:?} has no row in the table");
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), all.len() + 2);
    }
}
