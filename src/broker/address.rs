//! `BROKER_URL`, in a type that does not print the password in it.

use std::fmt;
use std::str::FromStr;

use lapin::uri::AMQPUri;

/// Seconds between heartbeats that a worker asks for. RabbitMQ takes a peer for dead after two to
/// three times this (`rabbit_heartbeat.erl`); see [`DEAD_AFTER`].
const HEARTBEAT_SECONDS: u16 = 15;

/// The longest that a broker takes to notice that a worker's machine is gone, with a margin for
/// the return of its items.
pub const DEAD_AFTER: std::time::Duration = std::time::Duration::from_secs(4 * HEARTBEAT_SECONDS as u64);

/// The largest frame, in bytes. lapin keeps buffers of 32 frames each way: with the broker's
/// 128 KiB they alone would take 8 MiB of a worker that is to be small. The headers of a failed
/// item have to fit one frame.
const FRAME_MAX: u32 = 64 * 1024;

/// Where a broker is and who logs in: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps`.
#[derive(Clone)]
pub struct Address {
    uri: AMQPUri,
    /// The certificates of the authority that signed the broker's, in PEM; without it the
    /// system's are used.
    pub ca: Option<String>,
}

impl Address {
    pub(super) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

/// A text that is no broker's address. Holds no part of it, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no amqp://USER:PASSWORD@HOST:PORT/VHOST or amqps:// URL: {0}")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        // lapin's message repeats a URL that it cannot take apart.
        let no_password =
            |reason: String| if reason.contains(url) { "the form is wrong".to_owned() } else { reason };
        let mut uri: AMQPUri = url.trim().parse().map_err(|reason| AddressError(no_password(reason)))?;
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host;
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        Ok(Self { uri, ca: None })
    }
}

/// lapin takes an IPv6 address for no host at all, and connects to localhost.
fn ipv6_host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (address, _) = host.strip_prefix('[')?.split_once(']')?;
    address.parse::<std::net::Ipv6Addr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_in_no_text() {
        let address: Address = "amqp://user:s3cret@broker:5673/%2fx".parse().expect("a URL");
        assert_eq!(format!("{address} {address:?}"), "broker:5673 Address(broker:5673)");
        assert_eq!(address.uri.vhost, "/x");
        for bad in ["user:s3cret@broker", "http://user:s3cret@broker", "s3cret", "amqp:s3cret"] {
            let error = bad.parse::<Address>().expect_err("no broker's URL");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn ports_and_hosts_have_their_defaults() {
        let uri = |url: &str| url.parse::<Address>().expect("a URL").uri;
        assert_eq!(uri("amqps://broker").authority.port, 5671);
        assert_eq!(uri("amqp://a:b@[fd00::1]:99/v").authority.host, "fd00::1");
        assert_eq!(uri("amqp://broker").vhost, "/");
    }
}
