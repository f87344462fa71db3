//! Shows what operations report while they run.

use console::{Color, Style};

use super::reports::map::started;
use super::run_line::run_line;
use super::{Data, Ui, notices};
use crate::cluster::object_ref::ObjectRef;
use crate::notice::{Notice, ObjectChange, Observer, Wait};

/// The colors of pod names, in turn. All are readable on dark and on light backgrounds.
const POD_COLORS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Magenta, Color::Yellow, Color::Blue, Color::Red];

impl Ui {
    pub(super) fn prefixed(&self, pod: &str, line: &[u8]) -> Vec<u8> {
        let Ok(mut styles) = self.pod_styles.lock() else { return line.to_vec() };
        let color = POD_COLORS[styles.len() % POD_COLORS.len()];
        let style = styles.entry(pod.to_owned()).or_insert_with(|| Style::new().fg(color));
        let mut text = format!("{} ", style.apply_to(pod)).into_bytes();
        text.extend_from_slice(line);
        text
    }

    fn object(&self, object: &ObjectRef, change: ObjectChange) {
        let change = match change {
            ObjectChange::Applied(change) => change.to_string(),
            ObjectChange::Deleted => "deleted".to_owned(),
        };
        if self.data == Data::Text && !self.verbosity.quiet {
            self.data(format!("{object} {change}").as_bytes());
        }
    }

    fn warning(&self, text: &str) {
        let word = Style::new().for_stderr().yellow().apply_to("warning:");
        self.progress.print_above(&format!("{word} {}", self.shown(&self.commands.completed(text))));
    }
}

impl Observer for Ui {
    fn on(&self, notice: Notice<'_>) {
        match notice {
            Notice::Object { object, change } => self.object(object, change),
            Notice::Waiting(wait @ (Wait::Opening | Wait::Contents)) => {
                self.progress.waiting_briefly(&self.commands.completed(&notices::wait(&wait)));
            }
            Notice::Waiting(wait) => self.progress.waiting(&self.commands.completed(&notices::wait(&wait))),
            Notice::Warning(warning) => self.warning(&notices::warning(&warning)),
            Notice::Recovered(recovery) => self.status(&notices::recovery(&recovery)),
            Notice::Retry { record, pause } => self.detail(&notices::retry(record, pause.as_secs_f64())),
            Notice::Enqueued { published, confirmed, share } => {
                self.progress.enqueued(published, confirmed, share);
            }
            Notice::Run(progress) => self.progress.run(&self.commands.completed(&run_line(&progress))),
            Notice::Output { stream, bytes } => self.output(stream, bytes),
            Notice::Work { done, failed, running } => self.progress.work(done, failed, running),
            Notice::RunStarted(job) => self.status(&started(job)),
            Notice::LogLine(line) => self.log_line(&line.pod, "", &line.text),
        }
    }
}
