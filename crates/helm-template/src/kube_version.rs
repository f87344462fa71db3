//! Versions of Kubernetes.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A Kubernetes version, read from `1.20.2` or `v1.33.1-eks-595af52`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    version: String,
    normalized: String,
    major: u64,
    minor: u64,
}

impl KubeVersion {
    /// Reads a version of at least two numbers. What follows the numbers is kept but not compared.
    ///
    /// # Errors
    /// If the text is not a version.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(ErrorKind::KubeVersion, format!("invalid Kubernetes version {text:?}"));
        let trimmed = text.trim_start();
        let numbers = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let end = end_of_numbers(numbers);
        let components = numbers[..end]
            .split('.')
            .map(str::parse::<u64>)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| invalid())?;
        let zero_prefixed = numbers.starts_with('0') && !numbers[..end].starts_with("0.");
        let [major, minor, ..] = components[..] else {
            return Err(invalid());
        };
        if zero_prefixed {
            return Err(invalid());
        }
        let normalized: Vec<String> = components.iter().map(u64::to_string).collect();
        let prefix = if text.starts_with('v') { "" } else { "v" };
        Ok(Self {
            version: format!("{prefix}{text}"),
            normalized: format!("v{}", normalized.join(".")),
            major,
            minor,
        })
    }

    /// The version as it was given, with a `v` in front.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Only the numbers, which constraints are checked against.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// The major version.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The minor version.
    #[must_use]
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The fields, as Go prints a structure.
    pub(crate) fn fields(&self) -> String {
        format!("{{{} {} {} {}}}", self.version, self.normalized, self.major, self.minor)
    }
}

impl Default for KubeVersion {
    /// The default of `helm template`.
    fn default() -> Self {
        Self { version: "v1.35.0".into(), normalized: "v1.35.0".into(), major: 1, minor: 35 }
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// The length of the dotted numbers at the start.
fn end_of_numbers(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let digit = bytes[end].is_ascii_digit();
        let dot = bytes[end] == b'.' && end > 0 && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !digit && !dot {
            break;
        }
        end += 1;
    }
    end
}
