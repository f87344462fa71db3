//! Progress where stderr is not a terminal: a line every few seconds while something changes, and at least one
//! every ten seconds, so that nobody has to wonder whether anything happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Nothing is silent for longer.
const SILENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether anything was said.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The lines of one command.
#[derive(Clone, Default)]
pub(super) struct LogLines(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// What is going on, and since when; `None` if nothing is.
    current: Option<(String, Instant)>,
    /// The line that was printed last, and when.
    printed: Option<(String, Instant)>,
    /// When anything was printed last, output of programs among it.
    heard_at: Option<Instant>,
    /// Whether a thread looks after it.
    is_watched: bool,
}

impl LogLines {
    /// Says what is going on, unless it was just said, or another line was printed less than `every` ago.
    pub(super) fn show(&self, line: &str, every: Duration) {
        let now = Instant::now();
        self.hold(line);
        let mut lines = self.lock();
        if lines.is_due(line, every, now) {
            lines.print(line, now);
        }
    }

    /// Notes what is going on, and says it only if nothing else is said.
    pub(super) fn hold(&self, line: &str) {
        let mut lines = self.lock();
        lines.set(line, Instant::now());
        if !std::mem::replace(&mut lines.is_watched, true) {
            let watched = Arc::downgrade(&self.0);
            std::thread::spawn(move || watch(&watched));
        }
    }

    /// Something else was printed.
    pub(super) fn heard(&self) {
        self.lock().heard_at = Some(Instant::now());
    }

    /// Nothing is going on any more.
    pub(super) fn clear(&self) {
        self.lock().current = None;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn set(&mut self, line: &str, now: Instant) {
        if self.current.as_ref().is_none_or(|(current, _)| current != line) {
            self.current = Some((line.to_owned(), now));
        }
        self.heard_at.get_or_insert(now);
    }

    fn is_due(&self, line: &str, every: Duration, now: Instant) -> bool {
        self.printed.as_ref().is_none_or(|(last, at)| last != line && now.duration_since(*at) >= every)
    }

    fn print(&mut self, line: &str, now: Instant) {
        eprintln!("{line}");
        (self.printed, self.heard_at) = (Some((line.to_owned(), now)), Some(now));
    }

    /// The line that breaks a silence: with the time that it has been true for, if it was said before.
    fn overdue(&self, now: Instant) -> Option<String> {
        let (line, since) = self.current.as_ref()?;
        let silent = now.duration_since(self.heard_at?);
        if silent + LOOK_EVERY < SILENCE {
            return None;
        }
        let was_said = self.printed.as_ref().is_some_and(|(last, _)| last == line);
        let seconds = now.duration_since(*since).as_secs();
        Some(if was_said { format!("{line} (for {seconds} s)") } else { line.clone() })
    }
}

/// Breaks each silence, until the command is over.
fn watch(watched: &Weak<Mutex<Lines>>) {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let Some(lines) = watched.upgrade() else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(text) = lines.overdue(now) {
            eprintln!("{text}");
            lines.heard_at = Some(now);
            let current = lines.current.as_ref().map(|(line, _)| (line.clone(), now));
            lines.printed = current;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_when_it_changes_and_the_last_one_is_old_enough() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::default();
        let every = Duration::from_secs(5);
        assert!(lines.is_due("a", every, at(0)));
        lines.print("a", at(0));
        assert!(!lines.is_due("b", every, at(4)) && lines.is_due("b", every, at(5)));
        assert!(!lines.is_due("a", every, at(9)), "it has been said");
        assert!(lines.is_due("b", Duration::ZERO, at(0)));
    }

    #[test]
    fn nothing_is_silent_for_more_than_ten_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::default();
        assert_eq!(lines.overdue(at(60)), None, "nothing is going on");
        lines.set("waiting for a", at(0));
        assert_eq!(lines.overdue(at(8)), None);
        assert_eq!(lines.overdue(at(9)).as_deref(), Some("waiting for a"));
        lines.print("waiting for a", at(9));
        lines.set("waiting for a", at(12));
        assert_eq!(lines.overdue(at(17)), None);
        assert_eq!(lines.overdue(at(18)).as_deref(), Some("waiting for a (for 18 s)"));
        lines.heard_at = Some(at(15));
        assert_eq!(lines.overdue(at(18)), None, "a program has said something");
    }
}
