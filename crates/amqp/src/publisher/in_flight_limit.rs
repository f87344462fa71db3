//! How many items may be in flight: as many as the broker confirms within the latency of one confirm,
//! and a few more.
//!
//! More would not raise the rate: they would only wait on the way, be repeated when the connection
//! breaks, and keep every stage of a tunnel busy with small pieces (measured: three times the
//! writes to a quorum queue's log, half the rate). The latency is measured with an item that has
//! nothing ahead of it: every few seconds one is sent into an empty window, as TCP's BBR does.

use std::time::Duration;

use tokio::time::Instant;

/// How long an item may wait for others on its way.
const QUEUED: Duration = Duration::from_millis(40);

/// The shortest time between two adaptations.
const EVERY: Duration = Duration::from_millis(100);

/// Time between two items that are sent into an empty window.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// Items in flight before anything is known.
const FIRST: usize = 1024;

/// Bounds of the window, in items.
const LEAST: usize = 128;
const MOST: usize = 32 * 1024;

/// A limit that adapts to the confirms.
#[derive(Debug)]
pub(super) struct InFlightLimit {
    limit: usize,
    /// The item whose confirm is timed, and when it was sent.
    timed: Option<(u64, Instant)>,
    /// The shortest time that a confirm has taken since the last probe.
    latency: Duration,
    /// When the current count of confirms began, and the count. A count begins and ends with the
    /// confirm of a timed item: confirms may arrive in bursts, one per round trip.
    since: Instant,
    confirms: u64,
    probed: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The window fills and empties.
    Flowing,
    /// No items are added until it is empty.
    Draining,
    /// The timed item was sent into an empty window.
    Probing,
}

impl InFlightLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            limit: FIRST,
            timed: None,
            latency: Duration::MAX,
            since: now,
            confirms: 0,
            probed: now,
            stage: Stage::Draining,
        }
    }

    /// Items that may be in flight.
    pub(super) fn limit(&self) -> usize {
        if self.stage == Stage::Draining { 1 } else { self.limit }
    }

    /// Notes that an item is sent.
    pub(super) fn sent(&mut self, number: u64) {
        if self.timed.is_none() {
            self.sent_at(number, Instant::now());
        }
    }

    fn sent_at(&mut self, number: u64, now: Instant) {
        self.timed = Some((number, now));
        if self.stage == Stage::Draining {
            (self.stage, self.probed, self.latency) = (Stage::Probing, now, Duration::MAX);
        }
    }

    /// Notes confirms; all items up to `settled_up_to` are settled.
    pub(super) fn confirmed(&mut self, items: u64, settled_up_to: u64, now: Instant) {
        self.confirms += items;
        let Some((_, sent)) = self.timed.take_if(|(number, _)| *number <= settled_up_to) else { return };
        let taken = now - sent;
        self.latency = self.latency.min(taken);
        let elapsed = now - self.since;
        match self.stage {
            Stage::Probing => self.stage = Stage::Flowing,
            _ if elapsed < EVERY => return,
            _ => self.adapt(self.confirms as f64 / elapsed.as_secs_f64(), taken),
        }
        (self.since, self.confirms) = (now, 0);
        if now - self.probed >= PROBE_EVERY {
            self.stage = Stage::Draining;
        }
    }

    /// Adapts the limit to a rate of confirms, and to the time that the last one took.
    fn adapt(&mut self, rate: f64, taken: Duration) {
        let in_flight = (rate * taken.as_secs_f64()) as usize;
        let wanted = if taken > self.latency + QUEUED / 2 {
            (rate * (self.latency + QUEUED).as_secs_f64()) as usize
        } else if in_flight > self.limit / 2 {
            // A full window in which nothing waits is what limits the rate.
            self.limit * 2
        } else {
            self.limit
        };
        self.limit = wanted.clamp(self.limit / 2, self.limit * 2).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A broker that confirms an item `latency` after it was sent, and `rate` a second.
    struct Broker {
        latency: Duration,
        rate: u32,
    }

    /// Publishes as fast as the window permits; gives the rate, and the longest time that an item
    /// was in flight, of the second half.
    fn publish(
        limit: &mut InFlightLimit,
        now: &mut Instant,
        broker: &Broker,
        seconds: u64,
    ) -> (f64, Duration) {
        let (start, end) = (*now, *now + Duration::from_secs(seconds));
        let half = start + Duration::from_secs(seconds) / 2;
        let mut flying: VecDeque<(Instant, Instant)> = VecDeque::new();
        let (mut number, mut settled, mut counted, mut longest) = (0, 0, 0, Duration::ZERO);
        let mut free = start;
        while *now < end {
            while flying.len() < limit.limit() {
                number += 1;
                if limit.timed.is_none() {
                    limit.sent_at(number, *now);
                }
                free = (free + Duration::from_secs(1) / broker.rate).max(*now + broker.latency);
                flying.push_back((*now, free));
            }
            let Some((sent, confirmed)) = flying.pop_front() else { break };
            *now = confirmed;
            settled += 1;
            limit.confirmed(1, settled, *now);
            if *now > half {
                counted += 1;
                longest = longest.max(confirmed - sent);
            }
        }
        (counted as f64 / (*now - half).as_secs_f64(), longest)
    }

    #[test]
    fn the_brokers_rate_is_reached_and_little_waits_on_the_way() {
        for (latency, rate) in [(1, 50_000), (5, 20_000), (5, 500), (100, 50_000), (300, 2_000)] {
            let mut now = Instant::now();
            let latency = Duration::from_millis(latency);
            let mut limit = InFlightLimit::new(now);
            let (reached, longest) = publish(&mut limit, &mut now, &Broker { latency, rate }, 40);
            assert!(reached > 0.95 * f64::from(rate), "{latency:?}, {rate}: {reached}");
            // What follows a probe goes out at once.
            let burst = (latency + QUEUED).max(Duration::from_secs(1) * LEAST as u32 / rate);
            assert!(longest < (latency + burst) * 11 / 10, "{latency:?}, {rate}: {longest:?}");
        }
    }

    #[test]
    fn a_broker_that_gets_slow_to_confirm_gets_more_at_a_time() {
        let mut now = Instant::now();
        let mut limit = InFlightLimit::new(now);
        let quick = Broker { latency: Duration::from_millis(2), rate: 20_000 };
        publish(&mut limit, &mut now, &quick, 5);
        // The second broker's items are numbered from 1 again.
        limit.timed = None;
        let slow = Broker { latency: Duration::from_millis(500), rate: 20_000 };
        let (reached, _) = publish(&mut limit, &mut now, &slow, 60);
        assert!(reached > 0.85 * 20_000.0, "{reached}");
    }
}
