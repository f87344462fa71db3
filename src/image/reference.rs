//! Image references, by the grammar of the distribution project, which all registries follow.
//!
//! ```text
//! reference := [domain "/"] path [":" tag] ["@" digest]
//! ```

use std::fmt;
use std::str::FromStr;

/// The registry of a name without a domain.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Maximum length of a name in bytes, domain and path together.
const LONGEST_NAME: usize = 255;

/// A valid image reference: `registry:5000/team/worker:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    domain: Option<String>,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// `rule` is the rule that the text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference:?} is not an image reference: {rule}")]
pub struct ReferenceError {
    reference: String,
    rule: &'static str,
}

impl Reference {
    /// Registry and path, without tag and digest.
    pub fn name(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{domain}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The registry that the image is pushed to and pulled from.
    pub fn registry(&self) -> &str {
        self.domain.as_deref().unwrap_or(DEFAULT_REGISTRY)
    }

    /// Whether it has a digest. Building the image determines the digest, so its name has none.
    pub fn has_digest(&self) -> bool {
        self.digest.is_some()
    }

    /// Whether Kubernetes pulls it before every start by default, as for the tag `latest`.
    pub fn is_always_pulled(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }

    /// The name of this image for only one platform, in the same repository: `name:tag-linux-arm64`.
    pub fn for_platform(&self, platform: &str) -> Self {
        let tag = self.tag.as_deref().unwrap_or("latest");
        Self { tag: Some(format!("{tag}-{}", platform.replace('/', "-"))), digest: None, ..self.clone() }
    }

    /// The same image, pinned to a digest: `name@sha256:…`.
    ///
    /// # Errors
    /// The text is not a digest.
    pub fn pinned(&self, digest: &str) -> Result<Self, ReferenceError> {
        format!("{}@{digest}", self.name()).parse()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|rule| ReferenceError { reference: text.to_owned(), rule })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.contains("://") {
        return Err("a reference has no scheme: leave out everything up to \"://\"");
    }
    let (rest, digest) = split_optional(text, text.split_once('@'));
    // A colon before the last slash starts the registry's port.
    let tag_start = rest.rfind(':').filter(|&colon| !rest[colon..].contains('/'));
    let (name, tag) = split_optional(rest, tag_start.map(|colon| (&rest[..colon], &rest[colon + 1..])));
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_domain_like(first) => (Some(first), path),
        _ => (None, name),
    };
    if name.is_empty() || path.is_empty() {
        return Err("it lacks the repository's name");
    }
    if name.len() > LONGEST_NAME {
        return Err("registry and repository have at most 255 characters");
    }
    if !domain.is_none_or(is_domain) {
        return Err("the registry is HOST or HOST:PORT");
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a repository's name is in lowercase");
    }
    if !path.split('/').all(is_path_component) {
        return Err(
            "a repository's name is made of lowercase letters and digits, with one of \".\", \"_\", \"__\" or \
             dashes between them, in parts separated by \"/\"",
        );
    }
    if domain.is_none() && path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image's id, not its name");
    }
    if !tag.is_none_or(is_tag) {
        return Err(
            "a tag has 1 to 128 letters, digits, \"_\", \".\" and \"-\", and starts with none of the last two",
        );
    }
    if !digest.is_none_or(is_digest) {
        return Err("a digest is ALGORITHM:HEXADECIMAL, such as sha256 and 64 digits");
    }
    let owned = |part: Option<&str>| part.map(str::to_owned);
    Ok(Reference { domain: owned(domain), path: path.to_owned(), tag: owned(tag), digest: owned(digest) })
}

fn split_optional<'a>(whole: &'a str, split: Option<(&'a str, &'a str)>) -> (&'a str, Option<&'a str>) {
    split.map_or((whole, None), |(head, tail)| (head, Some(tail)))
}

/// Whether a name's first part is a registry: `team/worker` is a path, `team.example/worker` is not.
fn is_domain_like(part: &str) -> bool {
    part == "localhost"
        || part.contains(['.', ':'])
        || part.starts_with('[')
        || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let legal_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_domain_component),
    };
    legal_host && port.is_none_or(digits)
}

fn is_domain_component(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

/// `[a-z0-9]+` runs with separators between them: one `.` or `_`, two `_`, or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let legal_separator = |separator: &str| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    };
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(legal_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
        && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['+', '.', '-', '_']).all(is_part)
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (algorithm != "sha256" || hex.len() == 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_references_print_as_they_were_written() {
        let digest = format!("worker@sha256:{}", "a".repeat(64));
        for text in [
            "worker",
            "worker:1",
            "team/worker",
            "127.0.0.1:5000/team/worker:v1.2",
            "localhost/worker",
            "[::1]:5000/worker",
            "Registry.example/a/b/c:latest",
            "a__b/c--d.e_f:_x",
            &digest,
        ] {
            assert_eq!(text.parse::<Reference>().map(|reference| reference.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a/".repeat(128) + "a";
        let long_tag = format!("worker:{}", "1".repeat(129));
        let id = "0".repeat(64);
        for text in [
            "",
            ":1",
            "Worker",
            "team/Worker",
            "https://example.org/worker",
            "worker:",
            "worker:-1",
            "a//b",
            "/a",
            "a/",
            "a___b",
            "a.-b",
            "-a",
            "a b",
            "worker@sha256:12",
            "ex_ample.org/a",
            "host:port/a",
            "[::g]:1/a",
            &long,
            &long_tag,
            &id,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn parts() {
        let reference: Reference = "127.0.0.1:5000/a/b:1".parse().expect("legal");
        assert_eq!(
            (reference.registry(), reference.name().as_str()),
            ("127.0.0.1:5000", "127.0.0.1:5000/a/b")
        );
        let digest = format!("sha256:{}", "b".repeat(64));
        let pinned = reference.pinned(&digest).expect("a digest");
        assert_eq!(pinned.to_string(), format!("127.0.0.1:5000/a/b@{digest}"));
        assert!(pinned.has_digest() && !pinned.is_always_pulled());
        let hub: Reference = "team/worker".parse().expect("legal");
        assert!(hub.registry() == DEFAULT_REGISTRY && hub.is_always_pulled());
    }
}
