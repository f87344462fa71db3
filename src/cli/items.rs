//! Flags for items: where they come from, how they are cut, what they carry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::Value;

use super::flags::duration;
use crate::items::{DEFAULT_MAX_SIZE, Framing, Source};
use workqueue_amqp::publisher::BatchProperties;

/// The longest time to live that RabbitMQ takes, in milliseconds.
const LONGEST_TTL: u128 = u32::MAX as u128;

/// Bytes of an item that are shown where it is listed.
const PREVIEW: usize = 72;

/// Where items come from.
#[derive(Debug, Args)]
pub struct ItemFlags {
    /// Items, one an argument
    #[arg(value_name = "ITEM", conflicts_with = "file")]
    items: Vec<std::ffi::OsString>,
    /// Read items from a file, one a line; `-` is standard input; may be repeated. gzip and zstd
    /// are told by their first bytes
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Items in files end with a NUL byte instead of a newline, as `find -print0` writes them
    #[arg(short = '0', long, conflicts_with_all = ["delimiter", "json"])]
    null: bool,
    /// Items in files end with this text instead of a newline; \n, \r, \t, \0, \\ and \xHH are
    /// what they are in C
    #[arg(long, value_name = "TEXT", value_parser = delimiter, conflicts_with = "json")]
    delimiter: Option<Arc<[u8]>>,
    /// Files are JSON: one array, or one value a line. Strings become items without their quotes,
    /// everything else as compact JSON
    #[arg(long)]
    json: bool,
    /// Refuse items larger than this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_SIZE)]
    pub max_item_size: usize,
}

impl ItemFlags {
    /// The source of the items, if any was given.
    pub fn source(&self) -> Option<Source> {
        use std::os::unix::ffi::OsStrExt as _;
        if !self.file.is_empty() {
            return Some(Source::Files { paths: self.file.clone(), framing: self.framing() });
        }
        let arguments: Vec<Vec<u8>> = self.items.iter().map(|item| item.as_bytes().to_vec()).collect();
        (!arguments.is_empty()).then_some(Source::Arguments(arguments))
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

/// What every item carries beside its bytes.
#[derive(Debug, Args)]
pub struct EnvelopeFlags {
    /// A header for every item; may be repeated
    #[arg(long = "header", value_name = "KEY=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Items that wait in the queue for longer go to QUEUE.failed
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
}

impl EnvelopeFlags {
    /// As asked for.
    pub fn batch_properties(&self) -> BatchProperties {
        BatchProperties { headers: self.headers.clone(), ttl: self.ttl }
    }
}

/// Reads a header. AMQP allows names of 1 to 128 characters.
fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a header as KEY=VALUE")?;
    if key.is_empty() || key.len() > 128 {
        return Err("a header's name has 1 to 128 bytes".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration(text)?;
    if ttl.as_millis() == 0 || ttl.as_millis() > LONGEST_TTL {
        return Err("a time to live lies between 1ms and 1193h".to_owned());
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
        return Err("a delimiter has at least one byte".to_owned());
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
            value.ok_or_else(|| "\\x takes two hexadecimal digits".to_owned())
        }
        _ => Err("a backslash starts one of \\n, \\r, \\t, \\0, \\\\ and \\xHH".to_owned()),
    }
}

/// The beginning of an item, on one line whatever its bytes.
pub fn preview(body: &[u8]) -> String {
    let head = &body[..body.len().min(PREVIEW)];
    let more = if head.len() < body.len() { "…" } else { "" };
    format!("{}{more}", head.escape_ascii())
}

/// Adds an item's bytes to its JSON: as text where they are text, in base64 elsewhere.
pub fn add_body(value: &mut Value, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => value["body"] = text.into(),
        Err(_) => value["bodyBase64"] = STANDARD.encode(body).into(),
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
