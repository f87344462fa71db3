//! The first line of a script: which interpreter runs it, and which image has that.

use std::path::Path;

/// A script's interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The path in the first line; `None` where `env` looks it up.
    pub(super) path: Option<String>,
    /// The program's name: `python3`.
    pub(super) name: String,
}

/// What the first bytes of a file make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Linux starts it by itself.
    Executable,
    /// An interpreter starts it.
    Script(Interpreter),
    /// Linux does not start it.
    Neither,
    /// It would be a script but for a carriage return.
    CarriageReturn,
}

/// Tells what a file is by its first bytes.
pub(super) fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"\x7fELF") {
        return Kind::Executable;
    }
    let Some(rest) = head.strip_prefix(b"#!") else { return Kind::Neither };
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Kind::CarriageReturn;
    }
    match interpreter(&String::from_utf8_lossy(line)) {
        Some(interpreter) => Kind::Script(interpreter),
        None => Kind::Neither,
    }
}

fn interpreter(line: &str) -> Option<Interpreter> {
    let mut words = line.split_whitespace();
    let path = words.next()?;
    let name = file_name(path);
    if name != "env" {
        // A relative interpreter depends on the working directory, and no image has one.
        return path
            .starts_with('/')
            .then(|| Interpreter { path: Some(path.to_owned()), name: name.to_owned() });
    }
    let program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    Some(Interpreter {
        path: program.starts_with('/').then(|| program.to_owned()),
        name: file_name(program).to_owned(),
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What runs executables and shell scripts.
pub(super) const DEBIAN: &str = "debian:trixie-slim";

impl Interpreter {
    /// The image to build on unless the user names one. All are Debian's, whose amqp-tools the
    /// worker needs.
    pub(super) fn base_image(&self) -> Option<String> {
        let fixed = match self.name.as_str() {
            "sh" | "bash" | "dash" => DEBIAN,
            "python" | "python3" => "python:3-slim",
            "perl" => "perl:slim",
            "ruby" => "ruby:slim",
            "node" | "nodejs" => "node:lts-slim",
            "php" => "php:cli",
            "Rscript" => "r-base:latest",
            name => {
                let version = name.strip_prefix("python3.")?;
                let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
                return is_number.then(|| format!("python:3.{version}-slim"));
            }
        };
        Some(fixed.to_owned())
    }

    /// Whether it is a Python, which keeps its output back unless it is told not to.
    pub(super) fn is_python(&self) -> bool {
        self.name.starts_with("python")
    }
}

/// The first line that a file's name suggests.
pub(super) fn suggestion(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("py") => "#!/usr/bin/env python3",
        Some("rb") => "#!/usr/bin/env ruby",
        Some("js" | "mjs" | "cjs") => "#!/usr/bin/env node",
        Some("pl") => "#!/usr/bin/env perl",
        Some("php") => "#!/usr/bin/env php",
        Some("R" | "r") => "#!/usr/bin/env Rscript",
        Some("bash") => "#!/bin/bash",
        _ => "#!/bin/sh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(head: &str) -> Interpreter {
        match kind(head.as_bytes()) {
            Kind::Script(interpreter) => interpreter,
            other => panic!("{head:?} is {other:?}"),
        }
    }

    #[test]
    fn interpreters_are_found_by_path_and_by_env() {
        assert_eq!(
            script("#!/usr/bin/env python\nprint(1)\n"),
            Interpreter { path: None, name: "python".to_owned() }
        );
        assert_eq!(
            script("#! /bin/sh -e\n"),
            Interpreter { path: Some("/bin/sh".to_owned()), name: "sh".to_owned() }
        );
        assert_eq!(script("#!/usr/bin/env -S LANG=C python3.12 -u").name, "python3.12");
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(kind(b"\x7fELF\x02\x01"), Kind::Executable);
        assert_eq!(kind(b"#!/usr/bin/env python3\r\n"), Kind::CarriageReturn);
        for neither in ["", "print(1)\n", "#!", "#!\n", "#!/usr/bin/env\n", "#!python\n"] {
            assert_eq!(kind(neither.as_bytes()), Kind::Neither, "{neither:?}");
        }
    }

    #[test]
    fn base_images() {
        let base = |name: &str| Interpreter { path: None, name: name.to_owned() }.base_image();
        assert_eq!(base("python3.12").as_deref(), Some("python:3.12-slim"));
        assert_eq!(base("bash").as_deref(), Some(DEBIAN));
        for unknown in ["python2", "python3.", "python3.x", "tclsh"] {
            assert_eq!(base(unknown), None, "{unknown}");
        }
    }
}
