//! Everything that people read: data on stdout, messages and progress on stderr.

pub mod commands;
pub mod failure;
pub mod items;
pub mod json;
mod log_lines;
pub mod log_view;
mod misfit;
mod notices;
mod observer;
mod progress;
mod rate;
pub mod reports;
mod run_line;
pub mod table;
pub mod usage;
mod visible;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead as _, Error, ErrorKind, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, Once, OnceLock};

use console::Style;
use serde::Serialize;
use tokio::sync::Notify;

use crate::ui::commands::Commands;
use crate::ui::failure::Failure;
use progress::ProgressLine;
use visible::{log_line, visible, visible_text};
use workqueue_worker::cli::stop_signals;
use workqueue_worker::output::OutputStream;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verbosity {
    /// Only data and errors.
    pub quiet: bool,
    /// Every step.
    pub verbose: bool,
}

/// What a command prints on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Data {
    /// Text: tables, objects, and the lines of logs.
    #[default]
    Text,
    /// A report in JSON, and nothing else.
    Report,
    /// What items wrote, and nothing else.
    Outputs,
}

/// The terminal, or the files and pipes in its place.
pub struct Ui {
    verbosity: Verbosity,
    /// What stdout is for.
    data: Data,
    progress: ProgressLine,
    commands: Commands,
    pod_styles: Mutex<HashMap<String, Style>>,
    /// Set once nobody reads stdout any more.
    closed: Notify,
    /// Set by signals. One that comes between two waits ends the second wait.
    signals: Arc<Notify>,
    signals_are_forwarded: Once,
    /// The first error of stdout while it had a reader.
    unwritable: OnceLock<Error>,
}

impl Ui {
    /// A user interface.
    pub fn new(verbosity: Verbosity, data: Data) -> Self {
        let silent = verbosity.quiet;
        Self {
            verbosity,
            data,
            progress: ProgressLine::new(
                silent,
                std::io::stderr().is_terminal(),
                std::io::stdout().is_terminal(),
            ),
            commands: Commands::default(),
            pod_styles: Mutex::default(),
            closed: Notify::new(),
            signals: Arc::default(),
            signals_are_forwarded: Once::new(),
            unwritable: OnceLock::new(),
        }
    }

    /// Completes the commands in messages with what the user gave.
    pub fn with_commands(self, commands: Commands) -> Self {
        Self { commands, ..self }
    }

    /// Something was asked, and the answer may take its time.
    pub fn expect_answer(&self) {
        self.progress.expect("waiting for the cluster or its broker");
    }

    /// A text whose commands have the flags that the user gave.
    pub fn completed(&self, text: &str) -> String {
        self.commands.completed(text)
    }

    /// Messages from now on are about the items of this queue.
    pub fn about_queue(&self, queue: &str) {
        self.commands.about_queue(queue);
    }

    /// Whether only data and errors are printed.
    pub fn is_quiet(&self) -> bool {
        self.verbosity.quiet
    }

    /// A message for the user, on stderr.
    pub fn status(&self, message: &str) {
        if !self.verbosity.quiet {
            self.progress.print_above(&self.shown(&self.commands.completed(message)));
        }
    }

    /// A message that is shown only with `-v`.
    pub fn detail(&self, message: &str) {
        if self.verbosity.verbose {
            self.progress.print_above(&self.shown(message));
        }
    }

    /// A line of data, on stdout.
    pub fn data(&self, line: &[u8]) {
        self.bytes(&[line, b"\n"].concat());
    }

    /// A message as it is, or made harmless where stderr is a terminal. All text from elsewhere comes by
    /// here, by [`Ui::bytes`], or by [`Ui::log_line`].
    fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.progress.is_terminal(OutputStream::Stderr) { visible_text(text) } else { Cow::Borrowed(text) }
    }

    /// Data on stdout: as it is, or made harmless on a terminal. Returns whether stdout still has a
    /// reader.
    pub fn bytes(&self, data: &[u8]) -> bool {
        let is_terminal = self.progress.is_terminal(OutputStream::Stdout);
        match self.data {
            _ if !is_terminal => self.raw(data),
            Data::Outputs => self.raw(&log_line(data)),
            Data::Text | Data::Report => self.raw(&visible(data)),
        }
    }

    /// A line of data that begins with a word in colour; commands in it can be pasted.
    pub fn finding(&self, style: &Style, word: &str, text: &str) {
        let text = self.commands.completed(text);
        let is_terminal = self.progress.is_terminal(OutputStream::Stdout);
        let text = if is_terminal { visible_text(&text) } else { Cow::Borrowed(&*text) };
        self.raw(format!("{} {text}\n", style.apply_to(word)).as_bytes());
    }

    /// A line of a pod's log after what was asked for with it: data, or a message if stdout is for something else.
    fn log_line(&self, pod: &str, lead: &str, line: &[u8]) {
        let stream = match self.data {
            Data::Text => OutputStream::Stdout,
            Data::Outputs => OutputStream::Stderr,
            Data::Report => return,
        };
        let line = if self.progress.is_terminal(stream) { log_line(line) } else { Cow::Borrowed(line) };
        let line = self.prefixed(pod, &[lead.as_bytes(), &line].concat());
        match stream {
            OutputStream::Stdout => _ = self.raw(&[&line, &b"\n"[..]].concat()),
            OutputStream::Stderr if self.verbosity.quiet => {}
            OutputStream::Stderr => self.progress.print_above(&String::from_utf8_lossy(&line)),
        }
    }

    fn raw(&self, data: &[u8]) -> bool {
        let write = || {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(data).and_then(|()| stdout.flush())
        };
        let written = if self.progress.is_terminal(OutputStream::Stdout) {
            self.progress.suspend(write)
        } else {
            // A reader that has stopped must not hold up what goes to stderr.
            self.progress.heard();
            write()
        };
        self.note_written(written)
    }

    fn note_written(&self, written: std::io::Result<()>) -> bool {
        let Err(error) = written else { return true };
        if error.kind() == ErrorKind::BrokenPipe {
            // The reader has seen enough (`| head`): that is not an error.
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

    /// What a program wrote, as it is; on stderr if stdout is for a report.
    fn output(&self, stream: OutputStream, bytes: &[u8]) {
        let stream = if self.data == Data::Report { OutputStream::Stderr } else { stream };
        let written = self.progress.write(stream, bytes);
        self.note_written(written);
    }

    /// Waits until nobody reads stdout any more.
    pub async fn unread(&self) {
        self.closed.notified().await;
    }

    /// A report as JSON, on stdout.
    pub fn json(&self, report: &impl Serialize) {
        self.data(json::pretty(report).as_bytes());
    }

    /// Asks whether to delete, and says so if nothing is deleted. No answer means no.
    ///
    /// # Errors
    /// Standard input is not a terminal, so nobody can be asked.
    pub fn may_delete(&self, what: &str) -> Result<bool, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            let message = format!("cannot ask whether to delete {what}: standard input is not a terminal");
            return Err(Failure::new(message, "--yes deletes without asking"));
        }
        // What turns would overwrite the question.
        self.progress.clear();
        eprint!("Delete {}? [y/N] ", self.shown(what));
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
        eprintln!(
            "{} {}",
            style.clone().red().bold().apply_to("error:"),
            self.shown(&self.commands.completed(&failure.message))
        );
        if let Some(hint) = &failure.hint {
            eprintln!("{} {}", style.cyan().apply_to("hint:"), self.shown(&self.commands.completed(hint)));
        }
    }

    /// Clears the progress line, so that what follows is below everything else.
    pub fn done(&self) {
        self.progress.clear();
    }

    /// Waits for Ctrl-C, for SIGTERM, or until nobody reads stdout any more. What came since an
    /// earlier wait began counts too.
    pub async fn interrupted(&self) {
        self.signals_are_forwarded.call_once(|| self.forward_signals());
        tokio::select! {
            () = self.signals.notified() => {}
            () = self.closed.notified() => {}
        }
    }

    /// Handles signals from now on. If that is not possible, the default action ends the program.
    fn forward_signals(&self) {
        let Ok(mut received) = stop_signals() else { return };
        let signals = Arc::clone(&self.signals);
        tokio::spawn(async move {
            while received.recv().await.is_some() {
                signals.notify_one();
            }
        });
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_between_two_waits_is_heard_by_the_second() {
        let ui = Ui::new(Verbosity::default(), Data::Text);
        timeout(Duration::from_millis(1), ui.interrupted()).await.expect_err("nobody interrupts");
        kill_process(getpid(), Signal::INT).expect("it is this process");
        tokio::time::sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_secs(10), ui.interrupted()).await.expect("it was interrupted");
        timeout(Duration::from_millis(1), ui.interrupted()).await.expect_err("once");
    }
}
