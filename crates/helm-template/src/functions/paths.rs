//! Paths with slashes.

use super::Type::String as Text;
use super::{Call, Function, plain};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("base", &[Text], base),
    plain("dir", &[Text], dir),
    plain("clean", &[Text], |c| Ok(clean(&c.text(0)).into())),
    plain("ext", &[Text], ext),
    plain("isAbs", &[Text], |c| Ok(c.text(0).starts_with('/').into())),
    plain("osBase", &[Text], base),
    plain("osDir", &[Text], dir),
    plain("osClean", &[Text], |c| Ok(clean(&c.text(0)).into())),
    plain("osExt", &[Text], ext),
    plain("osIsAbs", &[Text], |c| Ok(c.text(0).starts_with('/').into())),
];

fn base(call: &Call<'_>) -> Result<Value, String> {
    let path = call.text(0);
    if path.is_empty() {
        return Ok(".".into());
    }
    let trimmed = path.trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or("");
    Ok(if name.is_empty() { "/".into() } else { name.into() })
}

fn dir(call: &Call<'_>) -> Result<Value, String> {
    let path = call.text(0);
    let end = path.rfind('/').map_or(0, |at| at + 1);
    Ok(clean(&path[..end]).into())
}

fn ext(call: &Call<'_>) -> Result<Value, String> {
    let path = call.text(0);
    let name = path.rsplit('/').next().unwrap_or("");
    Ok(name.rfind('.').map_or("", |dot| &name[dot..]).into())
}

/// The shortest equivalent path.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}
