//! Where a broker is and who logs in there: from a URL, or known otherwise.

use std::net::Ipv6Addr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::{Error, Tls};
use workqueue_core::credentials::Credentials;

/// The form of a broker's URL.
const FORM: &str = "write it as amqp(s)://USER:PASSWORD@HOST[:PORT][/VHOST]";

/// Where a broker listens, and who logs in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Virtual host, `/` by default.
    pub vhost: String,
    /// The login.
    pub credentials: Credentials,
    /// TLS, if the broker wants it.
    pub tls: Option<Tls>,
    /// What the URL asks of AMQP itself (`heartbeat`, `frame_max`, …). The publisher's connections
    /// have their own settings.
    pub(crate) query: AMQPQueryString,
}

impl Endpoint {
    /// A broker that is reached without TLS, and its default virtual host.
    pub fn plain(host: String, port: u16, credentials: Credentials) -> Self {
        let (vhost, query) = ("/".to_owned(), AMQPQueryString::default());
        Self { host, port, vhost, credentials, tls: None, query }
    }

    /// Reads `amqp(s)://USER:PASSWORD@HOST[:PORT][/VHOST][?QUERY]`, with blanks around it;
    /// `authorities` are certificates in PEM to trust beside the system's.
    ///
    /// # Errors
    /// [`Error::Address`], which does not repeat the URL: there is a password in it.
    pub fn parse(url: &str, authorities: Option<String>) -> Result<Self, Error> {
        let url = url.trim();
        let uri: AMQPUri = url.parse().map_err(|reason: String| {
            // lapin's message repeats a URL that it cannot take apart.
            let known = !reason.contains(url);
            Error::Address(if known { format!("{FORM} ({reason})") } else { FORM.to_owned() })
        })?;
        let AMQPUri { scheme, authority: AMQPAuthority { userinfo, host, port }, vhost, query } = uri;
        let host = ipv6_host(url).unwrap_or(host);
        if host.is_empty() {
            return Err(Error::Address(FORM.to_owned()));
        }
        Ok(Self {
            host,
            port,
            // What stands after a lone slash is the empty name, which nobody means.
            vhost: if vhost.is_empty() { "/".to_owned() } else { vhost },
            credentials: Credentials { username: userinfo.username, password: userinfo.password },
            tls: (scheme == AMQPScheme::AMQPS).then_some(Tls { authorities }),
            query,
        })
    }

    /// The same for lapin.
    pub(crate) fn uri(&self) -> AMQPUri {
        let Credentials { username, password } = self.credentials.clone();
        AMQPUri {
            scheme: if self.tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username, password },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: self.query.clone(),
        }
    }
}

/// lapin takes an IPv6 address for no host at all, and connects to localhost.
fn ipv6_host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (address, _) = host.strip_prefix('[')?.split_once(']')?;
    address.parse::<Ipv6Addr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Endpoint {
        Endpoint::parse(url, None).expect("legal")
    }

    #[test]
    fn urls_name_everything() {
        let endpoint = parse("amqps://me:p%40ss@mq.example:5679/eu%2Fwest?heartbeat=5\n");
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("mq.example", 5679));
        assert_eq!((endpoint.vhost.as_str(), endpoint.credentials.password.as_str()), ("eu/west", "p@ss"));
        assert!(endpoint.tls.is_some());
        assert_eq!(endpoint.uri().query.heartbeat, Some(5));
    }

    #[test]
    fn what_a_url_leaves_out_has_its_default() {
        assert_eq!((parse("amqp://mq").vhost.as_str(), parse("amqp://mq/").vhost.as_str()), ("/", "/"));
        assert_eq!((parse("amqp://mq").port, parse("amqps://mq").port), (5672, 5671));
        assert!(parse("amqp://mq").tls.is_none());
    }

    #[test]
    fn hosts_may_be_addresses() {
        assert_eq!(parse("amqp://a:b@[fd00::1]:99/v").host, "fd00::1");
        assert_eq!(parse("amqp://[fd00::1]?heartbeat=5").host, "fd00::1");
        assert_eq!(parse("amqp://192.0.2.1").host, "192.0.2.1");
    }

    #[test]
    fn passwords_are_in_no_text() {
        let debug = format!("{:?}", parse("amqp://user:s3cret@broker"));
        assert!(!debug.contains("s3cret"), "{debug}");
        for bad in [
            "user:s3cret@broker",
            "user:s3cret@broker\n",
            "http://user:s3cret@broker",
            "amqp://user:s3cret@broker:port",
            "amqp:s3cret",
            "s3cret",
        ] {
            let error = Endpoint::parse(bad, None).expect_err("no broker's URL").to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
