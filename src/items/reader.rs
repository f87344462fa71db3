//! Reads inputs one after the other.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::delimited::Delimited;
use super::framing::{ItemSender, Splitter as _, Step};
use super::json::Json;
use super::open::{open, unpack};
use super::{Framing, Reading};

pub(super) fn read_files(paths: &[PathBuf], reading: &Reading, out: &mut ItemSender) -> Step {
    for path in paths {
        let input = open(path, &out.meter)?;
        let name = if path == Path::new("-") { "stdin".into() } else { path.display().to_string() };
        read_one(input, &name, reading, out)?;
    }
    Ok(())
}

pub(super) fn read_one(input: Box<dyn Read>, name: &str, reading: &Reading, out: &mut ItemSender) -> Step {
    let input = if reading.raw { input } else { unpack(input, name)? };
    let name: Arc<str> = Arc::from(name);
    match &reading.framing {
        Framing::Lines => Delimited::lines(name, reading.raw).read(input, out),
        Framing::Nul => Delimited::new(b"\0", name).read(input, out),
        Framing::Delimiter(delimiter) => Delimited::new(delimiter, name).read(input, out),
        Framing::Json => Json::new(name).read(input, out),
    }
}
