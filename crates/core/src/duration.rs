//! Durations as kubectl takes them.

use std::time::Duration;

/// The longest duration: ten years. Adding a much longer one to a point in time would overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

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
        .and_then(|duration| {
            let longest = LONGEST.as_secs() / 3600;
            if duration > LONGEST { Err(format!("the longest duration is {longest}h")) } else { Ok(duration) }
        })
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
        assert_eq!(duration("87600h"), Ok(LONGEST));
        assert_eq!(duration("87601h"), Err("the longest duration is 87600h".to_owned()));
        for bad in ["5", "-5s", "soon", "", "9999999999999h"] {
            assert!(duration(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
