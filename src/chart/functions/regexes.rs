//! Regular expressions in Go's syntax.

use regex::Regex;

use super::super::value::Value;
use super::Type::{Int, String as Text};
use super::{Call, Function, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("regexMatch", &[Text, Text], |c| {
        Ok(compile(&c.text(0)).is_ok_and(|regex| regex.is_match(&c.text(1))).into())
    }),
    plain("mustRegexMatch", &[Text, Text], |c| Ok(compile(&c.text(0))?.is_match(&c.text(1)).into())),
    plain("regexFind", &[Text, Text], find),
    plain("mustRegexFind", &[Text, Text], find),
    plain("regexFindAll", &[Text, Text, Int], find_all),
    plain("mustRegexFindAll", &[Text, Text, Int], find_all),
    plain("regexReplaceAll", &[Text, Text, Text], replace),
    plain("mustRegexReplaceAll", &[Text, Text, Text], replace),
    plain("regexReplaceAllLiteral", &[Text, Text, Text], replace_literal),
    plain("mustRegexReplaceAllLiteral", &[Text, Text, Text], replace_literal),
    plain("regexSplit", &[Text, Text, Int], split),
    plain("mustRegexSplit", &[Text, Text, Int], split),
    plain("regexQuoteMeta", &[Text], |c| {
        let mut out = String::new();
        for c in c.text(0).chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        Ok(out.into())
    }),
];

fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern);
    Regex::new(&translated).map_err(|_| format!("error parsing regexp: `{pattern}`"))
}

/// Go's classes of digits, words and spaces are those of ASCII.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), in_class) {
                (Some('d'), true) => out.push_str("0-9"),
                (Some('w'), true) => out.push_str("0-9A-Za-z_"),
                (Some('s'), true) => out.push_str(r"\t\n\f\r "),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
                (Some('s'), false) => out.push_str(r"[\t\n\f\r ]"),
                (Some('D'), _) => out.push_str("[^0-9]"),
                (Some('W'), _) => out.push_str("[^0-9A-Za-z_]"),
                (Some('S'), _) => out.push_str(r"[^\t\n\f\r ]"),
                (Some('b'), false) => out.push_str(r"(?-u:\b)"),
                (Some('Q'), false) => quote_literal(&mut chars, &mut out),
                (Some(other), _) => {
                    out.push('\\');
                    out.push(other);
                }
                (None, _) => out.push('\\'),
            },
            '[' if in_class && chars.peek() == Some(&':') => out.push('['),
            // Here the crate would begin a nested class, and Go a literal bracket.
            '[' if in_class => out.push_str(r"\["),
            '[' => {
                in_class = true;
                out.push('[');
                open_class(&mut chars, &mut out);
            }
            ']' if in_class && out.ends_with(':') => out.push(']'),
            ']' => {
                in_class = false;
                out.push(']');
            }
            // Doubled, these are operators on classes in the crate.
            '&' | '~' | '-' if in_class && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// A bracket right behind the opening of a class is a member of it.
fn open_class(chars: &mut Chars<'_>, out: &mut String) {
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if chars.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
}

/// The text between `\Q` and `\E`.
fn quote_literal(chars: &mut Chars<'_>, out: &mut String) {
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next_if_eq(&'E').is_some() {
            break;
        }
        literal.push(c);
    }
    out.push_str(&regex::escape(&literal));
}

fn find(call: &Call<'_>) -> Result<Value, String> {
    let text = call.text(1);
    let regex = compile(&call.text(0))?;
    Ok(regex.find(&text).map_or("", |found| found.as_str()).into())
}

/// At most `limit` matches; all if it is negative.
fn find_all(call: &Call<'_>) -> Result<Value, String> {
    let (text, limit) = (call.text(1), call.int(2));
    let regex = compile(&call.text(0))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = regex.find_iter(&text).take(limit).map(|found| found.as_str());
    Ok(Value::strings(found))
}

/// An upper bound of what a replacement makes, so that none grows without limit.
fn check_size(call: &Call<'_>, regex: &Regex) -> Result<(), String> {
    let (text, replacement) = (call.text(1), call.text(2));
    let count = regex.find_iter(&text).count();
    let references = replacement.matches('$').count();
    let longest = regex.find_iter(&text).map(|found| found.len()).max().unwrap_or(0);
    let each = replacement.len() + references.saturating_mul(longest);
    call.will_produce(text.len() + count.saturating_mul(each))
}

fn replace(call: &Call<'_>) -> Result<Value, String> {
    let regex = compile(&call.text(0))?;
    check_size(call, &regex)?;
    Ok(regex.replace_all(&call.text(1), &*call.text(2)).into_owned().into())
}

fn replace_literal(call: &Call<'_>) -> Result<Value, String> {
    let regex = compile(&call.text(0))?;
    check_size(call, &regex)?;
    let replacement = call.text(2);
    let replaced = regex.replace_all(&call.text(1), regex::NoExpand(&replacement)).into_owned();
    Ok(replaced.into())
}

fn split(call: &Call<'_>) -> Result<Value, String> {
    let (pattern, text, limit) = (call.text(0), call.text(1), call.int(2));
    let regex = compile(&pattern)?;
    if limit == 0 {
        return Ok(Value::strings(Vec::<String>::new()));
    }
    if !pattern.is_empty() && text.is_empty() {
        return Ok(Value::strings([""]));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(&text).take(limit) {
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    Ok(Value::strings(parts))
}
