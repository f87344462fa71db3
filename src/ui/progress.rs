//! Progress on stderr: one line that changes on a terminal, a line every few seconds elsewhere.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log_lines::LogLines;
use super::rate::{Rate, bar};
use super::visible::visible_text;
use workqueue_core::words::count;
use workqueue_worker::output::OutputStream;

/// Time between two lines of counts if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is over sooner needs no line about it there.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The most bytes of a line that are held back.
const MOST_HELD: usize = 64 * 1024;

fn write(stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        OutputStream::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        }
        OutputStream::Stderr => io::stderr().lock().write_all(bytes),
    }
}

/// The progress of one command.
pub(super) struct ProgressLine {
    silent: bool,
    terminal: bool,
    bar: ProgressBar,
    /// What was printed if stderr is not a terminal.
    lines: LogLines,
    /// The start of a line of a program's output to a terminal, for stdout and stderr.
    held: [Mutex<Vec<u8>>; 2],
    /// Whether stdout is a terminal.
    stdout_too: bool,
    rate: Mutex<Option<Rate>>,
}

impl ProgressLine {
    pub(super) fn new(silent: bool, terminal: bool, stdout_too: bool) -> Self {
        let shown = terminal && !silent;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_style(style("{spinner} {wide_msg}"));
        let (lines, held, rate) = (LogLines::default(), Default::default(), Mutex::default());
        Self { silent, terminal, bar, lines, held, stdout_too, rate }
    }

    /// Prints a line on stderr that stays.
    pub(super) fn print_above(&self, line: &str) {
        self.suspend(|| eprintln!("{line}"));
    }

    pub(super) fn is_terminal(&self, stream: OutputStream) -> bool {
        match stream {
            OutputStream::Stdout => self.stdout_too,
            OutputStream::Stderr => self.terminal,
        }
    }

    /// Runs something that prints, with the progress line hidden.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        let printed = self.bar.suspend(print);
        self.heard();
        printed
    }

    /// Something was printed, so nobody takes silence for a hang.
    pub(super) fn heard(&self) {
        self.lines.heard();
    }

    /// Writes a program's output with the progress line hidden. On a terminal the start of a line is
    /// held back until the line ends: the progress line would overwrite it.
    pub(super) fn write(&self, stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
        let to_terminal = match stream {
            OutputStream::Stdout => self.stdout_too,
            OutputStream::Stderr => true,
        };
        if !self.terminal || self.silent || !to_terminal {
            return self.suspend(|| write(stream, bytes));
        }
        let mut held = self.held(stream);
        held.extend_from_slice(bytes);
        let end = held.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let end = if held.len() - end > MOST_HELD { held.len() } else { end };
        let lines: Vec<u8> = held.drain(..end).collect();
        self.suspend(|| write(stream, &lines))
    }

    fn held(&self, stream: OutputStream) -> MutexGuard<'_, Vec<u8>> {
        let [stdout, stderr] = &self.held;
        let held = if stream == OutputStream::Stdout { stdout } else { stderr };
        held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn work(&self, done: u64, failed: u64, running: u64) {
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let elapsed = self.bar.elapsed();
        let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
        let line = format!("{} done{failed}; {running} running, {rate:.1}/s", count(done, "item"));
        // A log needs no line about the start.
        if elapsed < LINE_EVERY { self.hold(&line) } else { self.show(&line, LINE_EVERY) }
    }

    pub(super) fn clear(&self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let mut held = std::mem::take(&mut *self.held(stream));
            if !held.is_empty() {
                held.push(b'\n');
                // The terminal may be closed.
                self.suspend(|| write(stream, &held)).ok();
            }
        }
        self.bar.finish_and_clear();
        self.lines.clear();
    }

    pub(super) fn waiting(&self, what: &str) {
        self.show(&format!("waiting for {what}"), Duration::ZERO);
    }

    /// The same for what is usually over at once: a log needs no line about it.
    pub(super) fn waiting_briefly(&self, what: &str) {
        self.hold(&format!("waiting for {what}"));
    }

    pub(super) fn enqueued(&self, published: u64, confirmed: u64, share: Option<f64>) {
        let Ok(mut rate) = self.rate.lock() else { return };
        let rate = rate.get_or_insert_with(|| Rate::new(Instant::now()));
        rate.sample(confirmed, Instant::now());
        let line = rate.line(published.saturating_sub(confirmed), share, Instant::now());
        let bar = share.filter(|_| self.terminal).map(|share| bar(share) + " ").unwrap_or_default();
        let line = bar + &line;
        let is_young = confirmed == 0 || rate.elapsed(Instant::now()) < AT_ONCE;
        if is_young { self.hold(&line) } else { self.show(&line, LINE_EVERY) }
    }

    /// How far a run has come.
    pub(super) fn run(&self, line: &str) {
        self.show(line, LINE_EVERY);
    }

    /// Replaces the line on a terminal. Elsewhere the line is printed if it differs from the last
    /// one, and that one is old enough.
    fn show(&self, line: &str, every: Duration) {
        if self.terminal {
            self.turn(line);
        } else if !self.silent {
            self.lines.show(line, every);
        }
    }

    /// Where stderr is not a terminal, the line is printed only if nothing else is.
    pub(super) fn expect(&self, line: &str) {
        if !self.terminal && !self.silent {
            self.lines.hold(line);
        }
    }

    /// The same, but elsewhere the line is printed only if nothing else is.
    fn hold(&self, line: &str) {
        if self.terminal {
            self.turn(line);
        } else if !self.silent {
            self.lines.hold(line);
        }
    }

    fn turn(&self, line: &str) {
        if self.silent {
            return;
        }
        if self.bar.is_finished() {
            self.bar.reset();
        }
        self.bar.enable_steady_tick(TICK);
        self.bar.set_message(visible_text(line).into_owned());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that a test renders")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_legal() {
        ProgressLine::new(false, true, true).clear();
    }
}
