//! The first line of a script: which interpreter it names, and which image has that interpreter.

use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The path in the first line; `None` if `env` looks it up on PATH.
    pub(super) path: Option<String>,
    /// The program's name, such as `python3`.
    pub(super) name: String,
}

/// What a file is, judged by its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Linux executes it directly.
    Executable,
    /// Linux starts its interpreter.
    Script(Interpreter),
    /// Linux cannot execute it.
    Neither,
    /// A script whose first line ends in a carriage return, so Linux does not find the interpreter.
    CarriageReturn,
}

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
        // A relative path would depend on the working directory in the container.
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

/// The base image for executables and shell scripts.
pub(super) const DEBIAN: &str = "debian:trixie-slim";

impl Interpreter {
    /// The base image unless the user names one. All are based on Debian, from which amqp-tools
    /// can be installed.
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

    /// Whether it is a Python, which buffers its output by default.
    pub(super) fn is_python(&self) -> bool {
        self.name.starts_with("python")
    }
}

/// A first line that fits a file's name.
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
