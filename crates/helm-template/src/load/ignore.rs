//! The rules of `.helmignore`.

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};
use crate::glob;

/// The rules of one `.helmignore`, and the one that always applies.
pub(super) struct Rules {
    rules: Vec<Rule>,
}

struct Rule {
    pattern: Regex,
    negated: bool,
    only_directories: bool,
    /// Compared with the whole path rather than with the last name.
    whole_path: bool,
}

impl Rules {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Hidden files among the templates are never templates.
        for line in text.lines().chain(["templates/.?*"]) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                rules.push(Rule::parse(line)?);
            }
        }
        Ok(Self { rules })
    }

    /// Whether the file or directory is left out. The first rule that says so decides; a negated
    /// rule leaves out everything that it does not match.
    pub(super) fn ignores(&self, path: &str, is_directory: bool) -> bool {
        self.rules.iter().any(|rule| {
            let applies = !rule.only_directories || is_directory;
            if rule.negated { !(applies && rule.matches(path)) } else { applies && rule.matches(path) }
        })
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self> {
        let invalid =
            |message: &str| Err(Error::new(ErrorKind::Chart, format!("{message}: {line}")).on(".helmignore"));
        if line.contains("**") {
            return invalid("double-star (**) syntax is not supported");
        }
        let rest = line.strip_prefix('!').unwrap_or(line);
        let body = rest.strip_suffix('/').unwrap_or(rest);
        let Some(pattern) = glob::shell_pattern(body.strip_prefix('/').unwrap_or(body)) else {
            return invalid("syntax error in pattern");
        };
        Ok(Self {
            pattern,
            negated: line.starts_with('!'),
            only_directories: rest.ends_with('/'),
            whole_path: body.contains('/'),
        })
    }

    fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let subject = if self.whole_path { path } else { name };
        self.pattern.is_match(subject)
    }
}
