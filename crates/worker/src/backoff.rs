//! The pause before a further attempt: doubled each time, with jitter, up to a limit.

use std::str::FromStr;
use std::time::Duration;

use workqueue_core::duration::duration;

/// How long to pause before a further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause before the n-th further attempt (n from 1), without jitter.
    fn ceiling(self, further: u32) -> Duration {
        let factor = 2_u32.checked_pow(further.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.max)
    }

    /// The pause before the n-th further attempt (n from 1): random, from half of it to all of it, so
    /// that workers that failed together do not retry together.
    pub fn pause(self, further: u32) -> Duration {
        use rand::RngExt as _;
        self.ceiling(further).mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

/// A text that is not a backoff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a backoff as INITIAL or INITIAL..MAX, as in 1s..60s")]
pub struct BackoffError;

impl FromStr for Backoff {
    type Err = BackoffError;

    fn from_str(text: &str) -> Result<Self, BackoffError> {
        let (initial, max) = match text.split_once("..") {
            Some((initial, max)) => (read(initial)?, read(max)?),
            None => (read(text)?, read(text)?.max(Self::default().max)),
        };
        if max < initial { Err(BackoffError) } else { Ok(Self { initial, max }) }
    }
}

fn read(text: &str) -> Result<Duration, BackoffError> {
    duration(text).map_err(|_| BackoffError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let backoff: Backoff = "100ms..1s".parse().expect("a backoff");
        let ceilings: Vec<_> = (1..=6).map(|further| backoff.ceiling(further).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.ceiling(4_000_000), Duration::from_secs(1));
    }

    #[test]
    fn jitter_keeps_between_half_and_all() {
        let backoff = Backoff { initial: Duration::from_secs(2), max: Duration::from_secs(2) };
        for _ in 0..100 {
            let pause = backoff.pause(1).as_secs_f64();
            assert!((1.0..=2.0).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn one_duration_sets_the_first_pause() {
        assert_eq!(
            "5s".parse(),
            Ok(Backoff { initial: Duration::from_secs(5), max: Duration::from_secs(60) })
        );
        assert_eq!(
            "2m".parse(),
            Ok(Backoff { initial: Duration::from_secs(120), max: Duration::from_secs(120) })
        );
        assert_eq!("0".parse(), Ok(Backoff { initial: Duration::ZERO, max: Duration::from_secs(60) }));
        for bad in ["", "1s..", "2s..1s", "-1s", "soon"] {
            assert_eq!(bad.parse::<Backoff>(), Err(BackoffError), "{bad:?}");
        }
    }
}
