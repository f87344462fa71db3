//! Progress on stderr: one line that changes on a terminal, a line every few seconds elsewhere.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::rate::{Rate, bar};
use crate::cluster::job::JobState;
use crate::notice::RunCounts;
use workqueue_core::words::count;
use workqueue_worker::output::OutputStream;

/// Time between two lines of counts if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

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
    lines: Mutex<Lines>,
    /// The start of a line of a program's output to a terminal, for stdout and stderr.
    held: [Mutex<Vec<u8>>; 2],
    /// Whether stdout is a terminal.
    stdout_too: bool,
    rate: Mutex<Option<Rate>>,
}

/// What was printed if stderr is not a terminal.
#[derive(Default)]
struct Lines {
    last: String,
    at: Option<Instant>,
}

impl ProgressLine {
    pub(super) fn new(silent: bool, terminal: bool, stdout_too: bool) -> Self {
        let shown = terminal && !silent;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_style(style("{spinner} {wide_msg}"));
        let (lines, held, rate) = (Mutex::default(), Default::default(), Mutex::default());
        Self { silent, terminal, bar, lines, held, stdout_too, rate }
    }

    /// Prints a line on stderr that stays.
    pub(super) fn print_above(&self, line: &str) {
        self.suspend(|| eprintln!("{line}"));
    }

    /// Runs something that prints, with the progress line hidden.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
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
        // A log needs no line about the start.
        if let Ok(mut lines) = self.lines.lock() {
            lines.at.get_or_insert_with(Instant::now);
        }
        let rate = done as f64 / self.bar.elapsed().as_secs_f64().max(0.001);
        self.show(&format!("{done} done{failed}, {running} running, {rate:.1}/s"), LINE_EVERY);
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
    }

    pub(super) fn waiting(&self, what: &str) {
        self.show(&format!("waiting for {what}"), Duration::ZERO);
    }

    pub(super) fn enqueued(&self, published: u64, confirmed: u64, share: Option<f64>) {
        let Ok(mut rate) = self.rate.lock() else { return };
        let rate = rate.get_or_insert_with(|| Rate::new(Instant::now()));
        rate.sample(confirmed, Instant::now());
        let line = rate.line(published.saturating_sub(confirmed), share, Instant::now());
        let bar = share.filter(|_| self.terminal).map(|share| bar(share) + " ").unwrap_or_default();
        self.show(&(bar + &line), LINE_EVERY);
    }

    /// Items of a run in fine mode; in coarse mode the Job itself counts them.
    pub(super) fn items(&self, job: &JobState, counts: RunCounts) {
        let Some(total) = job.items.filter(|_| !job.is_coarse() && job.paused.is_none()) else { return };
        let RunCounts { waiting, failed, outputs_full } = counts;
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let pods = count(job.active, "pod");
        let held = if outputs_full { ", waiting for room for outputs" } else { "" };
        let line = format!("{waiting} of {} left{failed}, {pods} active{held}", count(total, "item"));
        self.show(&line, LINE_EVERY);
    }

    pub(super) fn job(&self, job: &JobState) {
        self.show(&job_line(job), Duration::ZERO);
    }

    /// Replaces the line on a terminal. Elsewhere the line is printed if it differs from the last
    /// one, and that one is old enough.
    fn show(&self, line: &str, every: Duration) {
        if self.silent {
            return;
        }
        if self.terminal {
            self.bar.enable_steady_tick(TICK);
            self.bar.set_message(line.to_owned());
            return;
        }
        let Ok(mut lines) = self.lines.lock() else { return };
        if lines.last == line || lines.at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        eprintln!("{line}");
        *lines = Lines { last: line.to_owned(), at: Some(Instant::now()) };
    }
}

fn job_line(job: &JobState) -> String {
    let JobState { run, active, succeeded, failed, .. } = job;
    if job.paused.is_some() && job.end.is_none() {
        return format!(
            "run {run} is paused, {} active; continue it with: kubectl workqueue resume {run}",
            count(*active, "pod")
        );
    }
    let failed = if *failed > 0 { format!(", {} failed", count(*failed, "pod")) } else { String::new() };
    if job.is_coarse() {
        let total = job.completions.map(|total| format!(" of {total}")).unwrap_or_default();
        return format!("{succeeded}{total} done, {active} running{failed}");
    }
    format!("{} active, {succeeded} succeeded{failed}", count(*active, "pod"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that a test renders")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_by_pods_or_by_items() {
        let job = JobState { active: 2, succeeded: 1, completions: Some(8), ..JobState::default() };
        assert_eq!(job_line(&job), "1 of 8 done, 2 running");
        let job = JobState { mode: Some("fine".to_owned()), active: 1, failed: 1, ..job };
        assert_eq!(job_line(&job), "1 pod active, 1 succeeded, 1 pod failed");
        let job = JobState { run: "r".to_owned(), paused: Some(2), ..job };
        assert_eq!(
            job_line(&job),
            "run r is paused, 1 pod active; continue it with: kubectl workqueue resume r"
        );
    }

    #[test]
    fn the_template_is_legal() {
        ProgressLine::new(false, true, true).clear();
    }
}
