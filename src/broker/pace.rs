//! How many items may be in flight: as many as are confirmed within a fraction of a second.

use std::time::Duration;

use tokio::time::Instant;

/// The time that an item should be in flight. Longer ones do not raise the rate any more (the
/// broker's disk sets it), but make a broken connection repeat more.
const IN_FLIGHT: Duration = Duration::from_millis(300);

/// Time between two adaptations.
const EVERY: Duration = Duration::from_millis(100);

/// Bounds of the window, in items.
const LEAST: usize = 2048;
const MOST: usize = 32 * 1024;

/// A window that adapts to the rate of the confirms.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    since: Instant,
    confirms: u64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { limit: LEAST, since: now, confirms: 0 }
    }

    /// Items that may be in flight at one time.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes note of confirms.
    pub(super) fn confirmed(&mut self, items: u64, now: Instant) {
        self.confirms += items;
        let elapsed = now - self.since;
        if elapsed < EVERY {
            return;
        }
        let rate = self.confirms as f64 / elapsed.as_secs_f64();
        let wanted = (rate * IN_FLIGHT.as_secs_f64()) as usize;
        self.limit = wanted.clamp(self.limit / 2, self.limit * 2).clamp(LEAST, MOST);
        (self.since, self.confirms) = (now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a broker that confirms everything in flight every `latency`.
    fn settled_limit(latency: Duration) -> usize {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            now += latency;
            pace.confirmed(pace.limit() as u64, now);
        }
        pace.limit()
    }

    #[test]
    fn quick_confirms_widen_the_window_and_slow_ones_narrow_it() {
        assert_eq!(settled_limit(Duration::from_millis(20)), MOST);
        assert_eq!(settled_limit(Duration::from_secs(2)), LEAST);
    }
}
