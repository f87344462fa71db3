//! Flags for items: where they come from, how files are split into them, what they carry.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::flags::duration;
use crate::items::{BlankLines, DEFAULT_MAX_SIZE, Framing, InputSource, Reading};
use crate::ui::Ui;
use workqueue_amqp::publisher::BatchProperties;

/// The longest time to live that RabbitMQ takes, in milliseconds.
const LONGEST_TTL: u128 = u32::MAX as u128;

/// The values of `--blank-lines`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum BlankLinesFlag {
    Skip,
    Refuse,
    Keep,
}

/// Where items come from.
#[derive(Debug, Args)]
pub struct ItemFlags {
    /// Items, one per argument
    #[arg(value_name = "ITEM", conflicts_with = "file")]
    items: Vec<std::ffi::OsString>,
    /// Read items from a file, one per line; `-` is standard input. Can be repeated. gzip and zstd
    /// are detected and decompressed
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Split files at NUL bytes instead of newlines, as `find -print0` writes them
    #[arg(short = '0', long, conflicts_with_all = ["delimiter", "json"])]
    null: bool,
    /// Split files at this text instead of newlines; \n, \r, \t, \0, \\ and \xHH mean what they
    /// mean in C
    #[arg(long, value_name = "TEXT", value_parser = delimiter, conflicts_with = "json")]
    delimiter: Option<Arc<[u8]>>,
    /// Read files as JSON: one array, or values one after the other, as `jq` prints them. Strings
    /// become items without their quotes, other values become compact JSON
    #[arg(long)]
    json: bool,
    /// What to do with lines that are empty or hold only white space, and with what is empty between
    /// other delimiters: skip and count them, refuse the input, or keep them as items
    #[arg(long, value_name = "ACTION", default_value = "skip")]
    blank_lines: BlankLinesFlag,
    /// Take the bytes of files as they are: decompress nothing, strip no byte order mark, and refuse
    /// no kind of file
    #[arg(long)]
    raw: bool,
    /// Refuse items with more bytes than this
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_SIZE)]
    pub max_item_size: usize,
}

impl ItemFlags {
    /// The source of the items, if any was given.
    pub fn source(&self) -> Option<InputSource> {
        if !self.file.is_empty() {
            return Some(InputSource::Files { paths: self.file.clone(), reading: self.reading() });
        }
        let bytes = |item: &std::ffi::OsString| item.as_encoded_bytes().to_vec();
        let arguments: Vec<Vec<u8>> = self.items.iter().map(bytes).collect();
        (!arguments.is_empty()).then_some(InputSource::Arguments(arguments))
    }

    /// The same, or standard input.
    pub fn source_or_stdin(&self, ui: &Ui) -> InputSource {
        self.source().unwrap_or_else(|| {
            if std::io::stdin().is_terminal() {
                ui.status("reading items from the terminal, one per line, until Ctrl-D");
            }
            InputSource::Files { paths: vec!["-".into()], reading: self.reading() }
        })
    }

    fn reading(&self) -> Reading {
        let blank_lines = match self.blank_lines {
            BlankLinesFlag::Skip => BlankLines::Skip,
            BlankLinesFlag::Refuse => BlankLines::Refuse,
            BlankLinesFlag::Keep => BlankLines::Keep,
        };
        Reading { framing: self.framing(), blank_lines, raw: self.raw }
    }

    fn framing(&self) -> Framing {
        match &self.delimiter {
            Some(delimiter) => Framing::Delimiter(delimiter.clone()),
            None if self.null => Framing::Nul,
            None if self.json => Framing::Json,
            None => Framing::Lines,
        }
    }
}

/// What every item carries besides its bytes.
#[derive(Debug, Args)]
pub struct BatchPropertyFlags {
    /// Set a header on every item; can be repeated
    #[arg(long = "header", value_name = "KEY=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Dead-letter items to QUEUE.failed that stay in the queue for longer than this
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
}

impl BatchPropertyFlags {
    /// The headers and the time to live.
    pub fn batch_properties(&self) -> BatchProperties {
        BatchProperties { headers: self.headers.clone(), ttl: self.ttl }
    }
}

/// Reads a header. AMQP allows names of 1 to 128 characters.
fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a header as KEY=VALUE")?;
    if key.is_empty() || key.len() > 128 {
        return Err("a header's name must have 1 to 128 bytes".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration(text)?;
    if ttl.as_millis() == 0 || ttl.as_millis() > LONGEST_TTL {
        return Err("a time to live must be between 1ms and 1193h".to_owned());
    }
    Ok(ttl)
}

fn delimiter(text: &str) -> Result<Arc<[u8]>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'\\' { escaped(&mut rest)? } else { byte });
    }
    if bytes.is_empty() {
        return Err("a delimiter must have at least one byte".to_owned());
    }
    Ok(bytes.into())
}

fn escaped(rest: &mut std::str::Bytes<'_>) -> Result<u8, String> {
    match rest.next() {
        Some(b'n') => Ok(b'\n'),
        Some(b'r') => Ok(b'\r'),
        Some(b't') => Ok(b'\t'),
        Some(b'0') => Ok(0),
        Some(b'\\') => Ok(b'\\'),
        Some(b'x') => {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit().zip(digit()).map(|(high, low)| (high * 16 + low) as u8);
            value.ok_or_else(|| "\\x must be followed by two hexadecimal digits".to_owned())
        }
        _ => Err("a backslash must start one of \\n, \\r, \\t, \\0, \\\\ and \\xHH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_know_cs_escapes() {
        assert_eq!(delimiter(r"\r\n").as_deref(), Ok(&b"\r\n"[..]));
        assert_eq!(delimiter(r"-\x1E\\\0").as_deref(), Ok(&b"-\x1e\\\0"[..]));
        for bad in ["", r"\q", r"\x1", r"\xg0", "\\"] {
            assert!(delimiter(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn headers_and_times_to_live_have_bounds() {
        assert_eq!(header("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(header("=b").is_err() && header("a").is_err());
        assert_eq!(ttl("90s"), Ok(Duration::from_secs(90)));
        assert!(ttl("0").is_err() && ttl("50000h").is_err());
    }
}
