//! Everything a person sees: data on stdout, messages and progress on stderr.

mod progress;
mod rate;
pub mod table;

use std::collections::HashMap;
use std::io::{BufRead as _, Error, ErrorKind, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, Once, OnceLock};

use console::{Color, Style};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::action::{Event, ObjectChange, Observer};
use crate::error::Failure;
use progress::Progress;
use workqueue_worker::output::OutputStream;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verbosity {
    /// Data and errors alone.
    pub quiet: bool,
    /// Every step.
    pub verbose: bool,
}

/// The terminal, or what stands in its place.
pub struct Ui {
    verbosity: Verbosity,
    /// Objects and log lines are data on stdout, unless a report in JSON takes it.
    data_is_text: bool,
    progress: Progress,
    pod_styles: Mutex<HashMap<String, Style>>,
    /// Set once stdout has no reader any more.
    closed: Notify,
    /// Set by signals; one that comes between two waits is heard by the second.
    signals: Arc<Notify>,
    signals_are_forwarded: Once,
    /// The first thing that went wrong with stdout while it had a reader.
    unwritable: OnceLock<Error>,
}

/// The colours of pods' names, in turn: all readable on dark and on light ground.
const POD_COLORS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Magenta, Color::Yellow, Color::Blue, Color::Red];

impl Ui {
    /// A user interface; with `json` stdout is kept for one report at the end.
    pub fn new(verbosity: Verbosity, json: bool) -> Self {
        let silent = verbosity.quiet;
        Self {
            verbosity,
            data_is_text: !json,
            progress: Progress::new(silent, std::io::stderr().is_terminal(), std::io::stdout().is_terminal()),
            pod_styles: Mutex::default(),
            closed: Notify::new(),
            signals: Arc::default(),
            signals_are_forwarded: Once::new(),
            unwritable: OnceLock::new(),
        }
    }

    /// Whether data and errors alone are printed.
    pub fn is_quiet(&self) -> bool {
        self.verbosity.quiet
    }

    /// A message for the user, on stderr.
    pub fn status(&self, message: &str) {
        if !self.verbosity.quiet {
            self.progress.print_above(message);
        }
    }

    /// A message that is shown with `-v` alone.
    pub fn detail(&self, message: &str) {
        if self.verbosity.verbose {
            self.progress.print_above(message);
        }
    }

    /// A line of data, on stdout.
    pub fn data(&self, line: &[u8]) {
        self.bytes(&[line, b"\n"].concat());
    }

    /// Data on stdout as it is. Tells whether more of it is of use.
    pub fn bytes(&self, data: &[u8]) -> bool {
        let written = self.progress.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(data).and_then(|()| stdout.flush())
        });
        self.note_written(written)
    }

    fn note_written(&self, written: std::io::Result<()>) -> bool {
        let Err(error) = written else { return true };
        if error.kind() == ErrorKind::BrokenPipe {
            // The reader has seen enough (`| head`): that is no error of ours.
            self.closed.notify_one();
        } else {
            self.unwritable.set(error).ok();
        }
        false
    }

    /// Why data is missing on stdout, if some is.
    pub fn unwritable(&self) -> Option<&Error> {
        self.unwritable.get()
    }

    /// What a program wrote, passed on as it is; to stderr if stdout is kept for a report.
    fn output(&self, stream: OutputStream, bytes: &[u8]) {
        let stream = if self.data_is_text { stream } else { OutputStream::Stderr };
        let written = self.progress.write(stream, bytes);
        self.note_written(written);
    }

    /// Waits until nobody reads stdout any more.
    pub async fn unread(&self) {
        self.closed.notified().await;
    }

    /// A report as JSON, on stdout.
    pub fn json(&self, report: &serde_json::Value) {
        self.data(format!("{report:#}").as_bytes());
    }

    /// Asks whether to delete, and says so if nothing is. No answer is no.
    ///
    /// # Errors
    /// Standard input is no terminal: nobody is there to be asked.
    pub fn may_delete(&self, what: &str) -> Result<bool, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            let message = format!("nobody is there to be asked whether to delete {what}");
            return Err(Failure::new(message, "--yes deletes without asking"));
        }
        eprint!("Delete {what}? [y/N] ");
        let mut answer = String::new();
        std::io::stderr().flush().ok();
        stdin.lock().read_line(&mut answer).ok();
        let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
        if !agreed {
            self.status("nothing was deleted");
        }
        Ok(agreed)
    }

    /// An error, on stderr, whatever the verbosity.
    pub fn error(&self, failure: &Failure) {
        self.progress.clear();
        let style = Style::new().for_stderr();
        eprintln!("{} {}", style.clone().red().bold().apply_to("error:"), failure.message);
        if let Some(hint) = &failure.hint {
            eprintln!("{} {hint}", style.cyan().apply_to("hint:"));
        }
    }

    /// Ends all progress, so that what follows stands below it.
    pub fn done(&self) {
        self.progress.clear();
    }

    /// Waits for Ctrl-C, for a request to end, or until nobody reads stdout any more. What came
    /// after an earlier wait had begun, and was not heard by it, counts as well.
    pub async fn interrupted(&self) {
        self.signals_are_forwarded.call_once(|| self.forward_signals());
        tokio::select! {
            () = self.signals.notified() => {}
            () = self.closed.notified() => {}
        }
    }

    /// Takes signals from now on. Where they cannot be had, the default action ends the program
    /// just as well.
    fn forward_signals(&self) {
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let Ok(mut received) = signal(kind) else { continue };
            let signals = Arc::clone(&self.signals);
            tokio::spawn(async move {
                while received.recv().await.is_some() {
                    signals.notify_one();
                }
            });
        }
    }

    fn prefixed(&self, pod: &str, line: &[u8]) -> Vec<u8> {
        let Ok(mut styles) = self.pod_styles.lock() else { return line.to_vec() };
        let color = POD_COLORS[styles.len() % POD_COLORS.len()];
        let style = styles.entry(pod.to_owned()).or_insert_with(|| Style::new().fg(color));
        let mut text = format!("{} ", style.apply_to(pod)).into_bytes();
        text.extend_from_slice(line);
        text
    }
}

impl Observer for Ui {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Object { object, change } => {
                let change = match change {
                    ObjectChange::Applied(change) => change.to_string(),
                    ObjectChange::Deleted => "deleted".to_owned(),
                };
                if self.data_is_text && !self.verbosity.quiet {
                    self.data(format!("{object} {change}").as_bytes());
                }
            }
            Event::Waiting(what) => self.progress.waiting(what),
            Event::Note(note) => {
                self.progress.print_above(&format!(
                    "{} {note}",
                    Style::new().for_stderr().yellow().apply_to("warning:")
                ));
            }
            Event::News(news) => self.status(news),
            Event::Enqueued { published, confirmed, share } => {
                self.progress.enqueued(published, confirmed, share);
            }
            Event::Items { job, counts } => self.progress.items(job, counts),
            Event::Job(job) => self.progress.job(job),
            Event::Detail(detail) => self.detail(detail),
            Event::Output { stream, bytes } => self.output(stream, bytes),
            Event::Work { done, failed, running } => self.progress.work(done, failed, running),
            Event::Line { pod, line } if self.data_is_text => self.data(&self.prefixed(pod, line)),
            Event::Line { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_between_two_waits_is_heard_by_the_second() {
        let ui = Ui::new(Verbosity::default(), false);
        timeout(Duration::from_millis(1), ui.interrupted()).await.expect_err("nobody interrupts");
        kill_process(getpid(), Signal::INT).expect("it is this process");
        tokio::time::sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_secs(10), ui.interrupted()).await.expect("it was interrupted");
        timeout(Duration::from_millis(1), ui.interrupted()).await.expect_err("once");
    }
}
