//! Command lines as a POSIX shell reads them, for people to paste.

use std::ffi::OsStr;

/// Maximum length of an argument in bytes. Longer ones are cut off.
pub const LONGEST_ARGUMENT: usize = 4096;

/// A command line that a shell would split into these arguments. It is a single line: control
/// characters are escaped as in C (`$'…'`).
pub fn command_line<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> String {
    let quoted: Vec<String> = arguments.into_iter().map(quoted).collect();
    quoted.join(" ")
}

/// One argument, with quotes if a shell needs them.
pub fn quoted(argument: &OsStr) -> String {
    let argument = argument.as_encoded_bytes();
    let argument = &argument[..argument.len().min(LONGEST_ARGUMENT)];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%_+=:,./-{}".contains(&byte);
    match std::str::from_utf8(argument) {
        Ok(text) if !argument.is_empty() && argument.iter().all(|&byte| plain(byte)) => text.to_owned(),
        Ok(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("$'{}'", argument.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_into_one_line() {
        let arguments = ["sh", "-c", "echo 'x'", "", "a\tb\n", "{}"].map(OsStr::new);
        assert_eq!(command_line(arguments), r"sh -c 'echo '\''x'\''' '' $'a\tb\n' {}");
    }
}
