//! The API server: its version, and how far its clock is from ours.

use jiff::{SignedDuration, Timestamp};

use super::finding::Finding;
use crate::cluster::api_server::ServerAnswer;

const SERVER: &str = "server";
const CLOCK: &str = "clock";

/// The oldest minor version of Kubernetes 1 that is supported.
const OLDEST: u32 = 20;

/// A difference of clocks that is worth a warning. The server's time has whole seconds.
const SKEW: SignedDuration = SignedDuration::from_secs(10);

/// The minor version in `v1.20.2` or `v1.29.3-gke.1`; 0 if it cannot be read.
pub(super) fn minor(version: &str) -> u32 {
    let number = version.trim_start_matches('v').split('.').nth(1).unwrap_or_default();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

pub(super) fn judge(url: &str, answer: &ServerAnswer) -> Vec<Finding> {
    vec![version(url, answer), clock(answer)]
}

fn version(url: &str, answer: &ServerAnswer) -> Finding {
    let (version, millis) = (&answer.version, answer.took.as_millis());
    if minor(version) < OLDEST {
        let message = format!("{url} runs Kubernetes {version}, which is too old");
        return Finding::error(
            SERVER,
            message,
            format!("upgrade the cluster to Kubernetes 1.{OLDEST} or later"),
        );
    }
    Finding::ok(SERVER, format!("Kubernetes {version} at {url} answers within {millis} ms"))
}

fn clock(answer: &ServerAnswer) -> Finding {
    let Some(server) = answer.server_time else {
        return Finding::unknown(CLOCK, "the API server does not tell its time");
    };
    let skew = skew(server, answer.asked_at, answer.took);
    if skew.abs() <= SKEW {
        return Finding::ok(CLOCK, "this machine's clock and the API server's agree");
    }
    let (seconds, which) = (skew.abs().as_secs(), if skew.is_positive() { "behind" } else { "ahead of" });
    Finding::warning(
        CLOCK,
        format!("this machine's clock is {seconds} s {which} the API server's"),
        "set it with NTP: credentials may seem expired, and times in reports are wrong",
    )
}

/// How far the server's clock is ahead of ours. Its time is cut to whole seconds.
fn skew(server: Timestamp, asked_at: Timestamp, took: std::time::Duration) -> SignedDuration {
    let took = SignedDuration::try_from(took).unwrap_or_default();
    server.duration_since(asked_at) + SignedDuration::from_millis(500) - took / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    fn states(version: &str, ahead: Option<i64>) -> (State, State, String) {
        let asked_at = Timestamp::UNIX_EPOCH;
        let server_time = ahead.map(|seconds| asked_at + SignedDuration::from_secs(seconds));
        let took = std::time::Duration::from_millis(20);
        let findings =
            judge("https://c", &ServerAnswer { version: version.to_owned(), server_time, asked_at, took });
        (findings[0].state, findings[1].state, findings[1].message.clone())
    }

    #[test]
    fn old_servers_and_wrong_clocks_are_found() {
        let (version, clock, _) = states("v1.20.2", Some(0));
        assert_eq!((version, clock), (State::Ok, State::Ok));
        assert_eq!(states("v1.19.16", Some(0)).0, State::Error);
        assert_eq!(states("v1.33.1-eks-5c1f", None).1, State::Unknown);
        let (_, state, message) = states("v1.31+", Some(-3600));
        assert_eq!(state, State::Warning);
        assert_eq!(message, "this machine's clock is 3599 s ahead of the API server's");
    }

    #[test]
    fn versions_of_vendors_are_read() {
        for (version, number) in [("v1.20.2", 20), ("v1.29.3-gke.1", 29), ("v1.27+", 27), ("next", 0)] {
            assert_eq!(minor(version), number, "{version}");
        }
    }
}
