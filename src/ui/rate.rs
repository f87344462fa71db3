//! Counts as a line: how many, how fast, and how long the rest takes.

use std::time::{Duration, Instant};

use workqueue_core::words::count;

/// The weight of the last second against the smoothed rate before.
const SMOOTHING: f64 = 0.3;

/// The time over which a rate is measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// Cells of a bar.
const CELLS: usize = 20;

/// A rate that follows changes without jumping.
#[derive(Debug)]
pub(super) struct Rate {
    started: Instant,
    confirmed: u64,
    last: (Instant, u64),
    smoothed: Option<f64>,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, confirmed: 0, last: (now, 0), smoothed: None }
    }

    /// The time since the first count.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.duration_since(self.started)
    }

    /// Takes a count of confirmed items.
    pub(super) fn sample(&mut self, confirmed: u64, now: Instant) {
        self.confirmed = confirmed;
        let elapsed = now.duration_since(self.last.0);
        if elapsed < SAMPLE {
            return;
        }
        let rate = confirmed.saturating_sub(self.last.1) as f64 / elapsed.as_secs_f64();
        self.smoothed = Some(self.smoothed.map_or(rate, |known| known + SMOOTHING * (rate - known)));
        self.last = (now, confirmed);
    }

    /// The line, for the share of the input that has been read, if that is known.
    pub(super) fn line(&self, in_flight: u64, share: Option<f64>, now: Instant) -> String {
        let elapsed = now.duration_since(self.started).as_secs_f64().max(0.001);
        let rate = self.smoothed.unwrap_or(self.confirmed as f64 / elapsed);
        let mut line =
            format!("{} confirmed, {in_flight} in flight, {rate:.0}/s", count(self.confirmed, "item"));
        // Estimates in the first seconds are wrong.
        if let Some(share) = share.filter(|share| *share > 0.0 && elapsed >= 2.0) {
            let left = (elapsed * (1.0 - share) / share).round() as u64;
            line += &format!(", {:.0} %, {} left", share * 100.0, clock(left));
        }
        line
    }
}

/// Seconds as M:SS or H:MM:SS.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A bar for a share from 0 to 1.
pub(super) fn bar(share: f64) -> String {
    let full = ((share * CELLS as f64) as usize).min(CELLS);
    format!("[{}{}]", "#".repeat(full), "-".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_count_rate_and_estimated_end() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let later = |seconds| start + Duration::from_secs(seconds);
        rate.sample(1000, later(1));
        assert_eq!(rate.line(7, None, later(1)), "1000 items confirmed, 7 in flight, 1000/s");
        rate.sample(3000, later(2));
        let line = rate.line(7, Some(0.25), later(30));
        assert_eq!(line, "3000 items confirmed, 7 in flight, 1300/s, 25 %, 1:30 left");
        assert_eq!(clock(3725), "1:02:05");
        assert_eq!(bar(0.5), "[##########----------]");
    }
}
