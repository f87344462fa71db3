//! The program's arguments, with the item in the place of `{}`, and where that is too dangerous.

use std::ffi::{OsStr, OsString};

use crate::platform;

/// What the item replaces.
const HOLE: &[u8] = b"{}";

/// `{}` where no item can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// Inside the text of a script: an item would become a part of it.
    #[error(
        "the script after {interpreter} {option} holds {{}}: an item would become part of the script, whatever is in it"
    )]
    InScript {
        /// The name of the program that reads the script.
        interpreter: String,
        /// The option before it.
        option: String,
    },
    /// In the arguments of a program that asks for its items.
    #[error("the program's arguments hold {{}}, but with --runtime-api it asks for its items over HTTP")]
    ForResident,
}

impl Misplaced {
    /// What to write instead.
    pub fn hint(&self) -> String {
        let Self::InScript { interpreter, option } = self else {
            return "omit {}, or omit --runtime-api to start the program for each item".to_owned();
        };
        let argument = if is_shell(interpreter) { "\"$1\"" } else { "its first argument" };
        format!(
            "let the script take the item as {argument}: `{interpreter} {option} '…' {}{{}}`{}",
            if is_shell(interpreter) { "sh " } else { "" },
            if is_shell(interpreter) { "; for braces of its own, write '{''}'" } else { "" }
        )
    }
}

/// Refuses `{}` inside the text of a script for a shell, and for interpreters that take one likewise.
/// They are found behind `env`, `busybox`, `timeout` and the like, too. A whole `{}` there is what
/// somebody means whose items are scripts. Refuses any `{}` for a program that asks for its items.
///
/// # Errors
/// [`Misplaced`].
pub fn check(program: &[impl AsRef<OsStr>], asks_for_items: bool) -> Result<(), Misplaced> {
    let words: Vec<&[u8]> = program.iter().map(|word| word.as_ref().as_encoded_bytes()).collect();
    if asks_for_items && words.iter().skip(1).any(|word| memmem(word)) {
        return Err(Misplaced::ForResident);
    }
    for (at, word) in words.iter().enumerate() {
        let name = base_name(word);
        let Some((option, script)) = script_of(&name, &words[at + 1..]) else { continue };
        if script != HOLE && memmem(script) {
            return Err(Misplaced::InScript { interpreter: name, option });
        }
    }
    Ok(())
}

/// The text of a script among an interpreter's arguments, and the option before it.
fn script_of<'a>(name: &str, arguments: &[&'a [u8]]) -> Option<(String, &'a [u8])> {
    let letters: &[u8] = match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        shell if is_shell(shell) => b"c",
        "python" | "pypy" => b"c",
        "perl" => b"eE",
        "node" | "nodejs" => b"ep",
        "ruby" | "lua" => b"e",
        "php" => b"r",
        _ => return None,
    };
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        match argument {
            [b'-', b'-', ..] | [b'+', ..] => {}
            // bash -o pipefail, bash -O extglob.
            [b'-', .., b'o' | b'O'] if is_shell(name) && !argument.contains(&b'c') => _ = rest.next(),
            [b'-', flags @ ..] if flags.iter().any(|flag| letters.contains(flag)) => {
                let option = String::from_utf8_lossy(argument).into_owned();
                // The text follows the options.
                let mut texts = rest.skip_while(|word| is_shell(name) && word.starts_with(b"-"));
                return texts.next().map(|&text| (option, text));
            }
            [b'-', ..] => {}
            _ => return None,
        }
    }
    None
}

fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" | "yash" | "rbash")
}

fn base_name(word: &[u8]) -> String {
    let name = word.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty()).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn memmem(text: &[u8]) -> bool {
    text.windows(HOLE.len()).any(|part| part == HOLE)
}

/// Whether the program gets the item as an argument.
pub fn takes_item(program: &[OsString]) -> bool {
    program.iter().skip(1).any(|argument| memmem(argument.as_encoded_bytes()))
}

/// The program's arguments with every `{}` replaced by the item, as GNU parallel does. The program's
/// name stays.
pub fn with_item(program: &[OsString], body: &[u8]) -> Vec<OsString> {
    let (name, arguments) = program.split_at(program.len().min(1));
    name.iter()
        .cloned()
        .chain(arguments.iter().map(|argument| filled(argument.as_encoded_bytes(), body)))
        .collect()
}

fn filled(argument: &[u8], body: &[u8]) -> OsString {
    let mut text = Vec::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.windows(HOLE.len()).position(|part| part == HOLE) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(body);
        rest = &rest[at + HOLE.len()..];
    }
    text.extend_from_slice(rest);
    platform::argument(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split('|').map(OsString::from).collect()
    }

    #[test]
    fn the_item_replaces_every_pair_of_braces_but_in_the_programs_name() {
        let argv = with_item(&words("{}|{}|a{}b{}|--in={}|{ }|{"), b"x {}");
        assert_eq!(argv, words("{}|x {}|ax {}bx {}|--in=x {}|{ }|{"));
        assert!(takes_item(&words("p|a{}")) && !takes_item(&words("{}|a")));
    }

    #[test]
    fn an_item_never_becomes_part_of_a_script() {
        for line in [
            "sh|-c|echo {}",
            "/bin/bash|-euo|pipefail|-c|echo {}",
            "bash|-o|pipefail|-ec|echo {}|sh",
            "bash|--norc|-c|-e|echo {}",
            "env|A=1|zsh|-c|{};true",
            "busybox|ash|-xc|echo {}",
            "timeout|5|ksh|-c|echo '{}'",
            "dash|+e|-c|echo {}",
            "python3.12|-c|print('{}')",
            "perl|-ne|print {}",
            "node|-p|{}.x",
        ] {
            assert!(check(&words(line), false).is_err(), "{line}");
        }
        for line in [
            "sh|-c|echo \"$1\"|sh|{}",
            "sh|-c|echo \"$1\"|sh|{}.png",
            "sh|-c|{}",
            "sh|./script|-c|{}.png",
            "bash|-e|{}.sh",
            "convert|{}|{}.png",
            "grep|-c|{}x",
            "python3|work.py|-c|{}.cfg",
        ] {
            assert_eq!(check(&words(line), false), Ok(()), "{line}");
        }
    }

    #[test]
    fn a_program_that_asks_for_its_items_gets_none_as_an_argument() {
        assert_eq!(check(&words("convert|{}.png"), true), Err(Misplaced::ForResident));
        assert_eq!(check(&words("{}|-m|awslambdaric|app.handler"), true), Ok(()));
    }
}
