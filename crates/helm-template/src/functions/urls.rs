//! URLs.

use super::Type::{Map as Dict, String as Text};
use super::{Call, Function, plain};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("urlParse", &[Text], parse),
    plain("urlJoin", &[Dict], join),
    plain("getHostByName", &[Text], |_| Ok("".into())),
];

/// Escapes text for a query, with `+` for a space.
pub(super) fn query_escape(text: &str) -> String {
    escape(text, |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)).replace("%20", "+")
}

fn escape(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.ok_or_else(|| format!("unable to parse url: invalid escape in {text:?}"))?);
        rest = &rest[2..];
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn parse(call: &Call<'_>) -> Result<Value, String> {
    let text = call.text(0);
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err("unable to parse url: invalid control character in URL".into());
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (scheme, rest) = split_scheme(rest)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut opaque = "";
    let mut path = rest;
    let (mut user, mut host) = ("", "");
    if let Some(behind) = rest.strip_prefix("//") {
        let end = behind.find('/').unwrap_or(behind.len());
        let (authority, tail) = behind.split_at(end);
        (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        path = tail;
        if let Some(c) = host.chars().find(|c| " \"<>^`{|}\\".contains(*c)) {
            return Err(format!("unable to parse url: invalid character {c:?} in host name"));
        }
    } else if !scheme.is_empty() && !rest.starts_with('/') {
        (opaque, path) = (rest, "");
    }
    Ok(Value::object([
        ("scheme", scheme.to_ascii_lowercase().into()),
        ("host", host.into()),
        ("hostname", host_name(host)?.into()),
        ("path", unescape(path)?.into()),
        ("query", query.into()),
        ("opaque", opaque.into()),
        ("fragment", unescape(fragment)?.into()),
        ("userinfo", user.into()),
    ]))
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    match text.split_once(':') {
        Some(("", _)) => Err("unable to parse url: missing protocol scheme".into()),
        Some((scheme, rest)) if is_scheme(scheme) => Ok((scheme, rest)),
        Some((start, _)) if !start.contains(['/', '?']) => {
            Err("unable to parse url: first path segment in URL cannot contain colon".into())
        }
        _ => Ok(("", text)),
    }
}

fn host_name(host: &str) -> Result<&str, String> {
    if let Some(inner) = host.strip_prefix('[') {
        return Ok(inner.split(']').next().unwrap_or(inner));
    }
    let Some((name, port)) = host.rsplit_once(':') else {
        return Ok(host);
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("unable to parse url: invalid port {port:?} after host"));
    }
    Ok(name)
}

fn join(call: &Call<'_>) -> Result<Value, String> {
    let map = call.map(0);
    let part = |key: &str| match map.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => {
            Err(format!("unable to parse {key} key, must be of type string, but {} found", other.kind_name()))
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let user = part("userinfo")?;
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if !opaque.is_empty() {
        out.push_str(&opaque);
    } else {
        if !scheme.is_empty() || !host.is_empty() || !user.is_empty() {
            if !host.is_empty() || !path.is_empty() || !user.is_empty() {
                out.push_str("//");
            }
            if !user.is_empty() {
                out.push_str(&user);
                out.push('@');
            }
            out.push_str(&host);
        }
        let path = escape(&path, |b| b.is_ascii_alphanumeric() || b"-_.~/$&+,:;=@!'()*".contains(&b));
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        out.push_str(&path);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/$&+,:;=@!'()*?".contains(&b);
        out.push_str(&escape(&fragment, plain));
    }
    Ok(out.into())
}
