//! Durations as kubectl takes them.

use std::time::Duration;

/// Reads `90s`, `5m`, `1h30m`, or `0`, whose meaning depends on the flag.
///
/// # Errors
/// Text that explains how to write a duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "write a duration as 90s, 5m or 1h30m, or 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_kubectls() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for bad in ["5", "-5s", "soon", ""] {
            assert!(duration(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
