//! Regular expressions in Go's syntax.

mod syntax;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::Type::{Int, String as Text};
use super::{Call, Function, plain};
use crate::value::{List, ListKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("regexMatch", &[Text, Text], |c| {
        Ok(compile(c).is_ok_and(|regex| regex.is_match(&c.text(1))).into())
    }),
    plain("mustRegexMatch", &[Text, Text], |c| Ok(compile(c)?.is_match(&c.text(1)).into())),
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

/// The cost of compiling an expression in produced bytes, which limits how many a render can compile.
const COMPILE_COST: usize = 16 << 10;
/// How large a compiled expression may be, in bytes.
const MAX_COMPILED: usize = 2 << 20;
/// How many compiled expressions are kept.
const MAX_KEPT: usize = 16;

thread_local! {
    /// The expressions compiled on this thread, which belongs to one render: helpers use the same
    /// few again and again.
    static COMPILED: RefCell<HashMap<String, Rc<Regex>>> = RefCell::default();
}

fn compile(call: &Call<'_>) -> Result<Rc<Regex>, String> {
    call.will_produce(COMPILE_COST)?;
    let pattern = call.text(0);
    if let Some(regex) = COMPILED.with_borrow(|kept| kept.get(&*pattern).cloned()) {
        return Ok(regex);
    }
    let build = |regex: String| RegexBuilder::new(&regex).size_limit(MAX_COMPILED).build().ok();
    let regex = syntax::translate(&pattern).and_then(build).map(Rc::new);
    let regex = regex.ok_or_else(|| format!("error parsing regexp: `{pattern}`"))?;
    COMPILED.with_borrow_mut(|kept| {
        if kept.len() < MAX_KEPT {
            kept.insert(pattern.into_owned(), Rc::clone(&regex));
        }
    });
    Ok(regex)
}

fn find(call: &Call<'_>) -> Result<Value, String> {
    let text = call.text(1);
    let regex = compile(call)?;
    Ok(regex.find(&text).map_or("", |found| found.as_str()).into())
}

/// At most `limit` matches; all if it is negative.
fn find_all(call: &Call<'_>) -> Result<Value, String> {
    let (text, limit) = (call.text(1), call.int(2));
    let regex = compile(call)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = regex.find_iter(&text).take(limit).map(|found| found.as_str().into());
    Ok(Value::list_or_nil(ListKind::Strings, found.collect()))
}

/// An upper bound of the length of a replacement's result.
fn check_size(call: &Call<'_>, regex: &Regex) -> Result<(), String> {
    let (text, replacement) = (call.text(1), call.text(2));
    let count = regex.find_iter(&text).count();
    let references = replacement.matches('$').count();
    let longest = regex.find_iter(&text).map(|found| found.len()).max().unwrap_or(0);
    let each = references.saturating_mul(longest).saturating_add(replacement.len());
    call.will_produce(count.saturating_mul(each).saturating_add(text.len()))
}

fn replace(call: &Call<'_>) -> Result<Value, String> {
    let regex = compile(call)?;
    check_size(call, &regex)?;
    Ok(regex.replace_all(&call.text(1), &*call.text(2)).into_owned().into())
}

fn replace_literal(call: &Call<'_>) -> Result<Value, String> {
    let regex = compile(call)?;
    check_size(call, &regex)?;
    let replacement = call.text(2);
    let replaced = regex.replace_all(&call.text(1), regex::NoExpand(&replacement)).into_owned();
    Ok(replaced.into())
}

fn split(call: &Call<'_>) -> Result<Value, String> {
    let (pattern, text, limit) = (call.text(0), call.text(1), call.int(2));
    let regex = compile(call)?;
    if limit == 0 {
        return Ok(Value::List(List::nil(ListKind::Strings)));
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
