//! Reads inputs one after the other.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Framing;
use super::delimited::Delimited;
use super::framing::{ItemSender, Splitter as _, Step};
use super::json::Json;
use super::open::open;

pub(super) fn read_files(paths: &[PathBuf], framing: &Framing, out: &mut ItemSender) -> Step {
    for path in paths {
        let input = open(path, &out.meter)?;
        let name = if path == Path::new("-") { "stdin".into() } else { path.display().to_string() };
        read_one(input, &name, framing, out)?;
    }
    Ok(())
}

pub(super) fn read_one(input: Box<dyn Read>, name: &str, framing: &Framing, out: &mut ItemSender) -> Step {
    let name: Arc<str> = Arc::from(name);
    match framing {
        Framing::Lines => Delimited::new(b"\n", name).read(input, out),
        Framing::Nul => Delimited::new(b"\0", name).read(input, out),
        Framing::Delimiter(delimiter) => Delimited::new(delimiter, name).read(input, out),
        Framing::Json => Json::new(name).read(input, out),
    }
}
