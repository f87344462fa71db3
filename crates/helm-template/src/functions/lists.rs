//! Lists.

use super::Type::{Any, Int};
use super::compare::deep_equal;
use super::convert::{text_of, texts, to_int};
use super::logic::is_empty;
use super::{Call, Function, plain, variadic};
use crate::limits::MAX_LENGTH;
use crate::value::{List, ListKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Any, |c| Ok(Value::list(c.args().to_vec()))),
    variadic("tuple", &[], Any, |c| Ok(Value::list(c.args().to_vec()))),
    plain("append", &[Any, Any], append),
    plain("push", &[Any, Any], append),
    plain("mustAppend", &[Any, Any], append),
    plain("mustPush", &[Any, Any], append),
    plain("prepend", &[Any, Any], prepend),
    plain("mustPrepend", &[Any, Any], prepend),
    variadic("concat", &[], Any, concat),
    plain("first", &[Any], first),
    plain("mustFirst", &[Any], first),
    plain("last", &[Any], last),
    plain("mustLast", &[Any], last),
    plain("rest", &[Any], rest),
    plain("mustRest", &[Any], rest),
    plain("initial", &[Any], initial),
    plain("mustInitial", &[Any], initial),
    plain("reverse", &[Any], reverse),
    plain("mustReverse", &[Any], reverse),
    plain("uniq", &[Any], uniq),
    plain("mustUniq", &[Any], uniq),
    plain("compact", &[Any], compact),
    plain("mustCompact", &[Any], compact),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    plain("has", &[Any, Any], has),
    plain("mustHas", &[Any, Any], has),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    plain("chunk", &[Int, Any], chunk),
    plain("mustChunk", &[Int, Any], chunk),
    plain("sortAlpha", &[Any], sort_alpha),
    plain("until", &[Int], |c| ints(range(0, c.int(0), if c.int(0) < 0 { -1 } else { 1 })?)),
    plain("untilStep", &[Int, Int, Int], |c| ints(range(c.int(0), c.int(1), c.int(2))?)),
    variadic("seq", &[], Int, seq),
];

/// The items of an argument that has to be a list.
fn items(call: &Call<'_>, index: usize, what: &str) -> Result<Vec<Value>, String> {
    let value = call.arg(index);
    value.items().ok_or_else(|| format!("Cannot {what} type {}", value.kind_name()))
}

fn append(call: &Call<'_>) -> Result<Value, String> {
    let mut list = items(call, 0, "push on")?;
    list.push(call.arg(1).clone());
    Ok(Value::list(list))
}

fn prepend(call: &Call<'_>) -> Result<Value, String> {
    let mut list = items(call, 0, "prepend on")?;
    list.insert(0, call.arg(1).clone());
    Ok(Value::list(list))
}

fn concat(call: &Call<'_>) -> Result<Value, String> {
    let mut all = Vec::new();
    for index in 0..call.args().len() {
        all.append(&mut items(call, index, "concat as list")?);
    }
    Ok(Value::list_or_nil(ListKind::Any, all))
}

fn first(call: &Call<'_>) -> Result<Value, String> {
    Ok(items(call, 0, "find first on")?.into_iter().next().unwrap_or_default())
}

fn last(call: &Call<'_>) -> Result<Value, String> {
    Ok(items(call, 0, "find last on")?.pop().unwrap_or_default())
}

fn rest(call: &Call<'_>) -> Result<Value, String> {
    let list = items(call, 0, "find rest on")?;
    if list.is_empty() {
        return Ok(Value::List(List::nil(ListKind::Any)));
    }
    Ok(Value::list(list.into_iter().skip(1).collect()))
}

fn initial(call: &Call<'_>) -> Result<Value, String> {
    let mut list = items(call, 0, "find initial on")?;
    if list.pop().is_none() {
        return Ok(Value::List(List::nil(ListKind::Any)));
    }
    Ok(Value::list(list))
}

fn reverse(call: &Call<'_>) -> Result<Value, String> {
    let list = items(call, 0, "find reverse on")?;
    Ok(Value::list(list.into_iter().rev().collect()))
}

fn contains(list: &[Value], wanted: &Value) -> Result<bool, String> {
    for item in list {
        if deep_equal(item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(call: &Call<'_>) -> Result<Value, String> {
    let mut unique: Vec<Value> = Vec::new();
    for item in items(call, 0, "find uniq on")? {
        if !contains(&unique, &item)? {
            unique.push(item);
        }
    }
    Ok(Value::list(unique))
}

fn compact(call: &Call<'_>) -> Result<Value, String> {
    let mut list = items(call, 0, "compact on")?;
    list.retain(|item| !is_empty(item));
    Ok(Value::list(list))
}

fn without(call: &Call<'_>) -> Result<Value, String> {
    let mut kept = Vec::new();
    for item in items(call, 0, "find without on")? {
        if !contains(call.rest(1), &item)? {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn has(call: &Call<'_>) -> Result<Value, String> {
    if call.arg(1).is_nil() {
        return Ok(false.into());
    }
    Ok(contains(&items(call, 1, "find has on")?, call.arg(0))?.into())
}

fn slice(call: &Call<'_>) -> Result<Value, String> {
    let list = items(call, 0, "slice")?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, default: usize| match call.rest(1).get(index) {
        Some(value) => usize::try_from(to_int(value)).ok(),
        None => Some(default),
    };
    let range = bound(0, 0).zip(bound(1, list.len()));
    let part = range.and_then(|(start, end)| list.get(start..end));
    let part = part.ok_or("slice index out of bounds")?;
    let kind = match call.arg(0) {
        Value::List(list) => list.kind(),
        _ => ListKind::Any,
    };
    Ok(Value::List(List::new(kind, part.to_vec())))
}

fn chunk(call: &Call<'_>) -> Result<Value, String> {
    let list = items(call, 1, "chunk")?;
    let size = usize::try_from(call.int(0)).ok().filter(|size| *size > 0);
    let size = size.ok_or("chunk size must be positive")?;
    let chunks = list.chunks(size).map(|chunk| Value::list(chunk.to_vec()));
    Ok(Value::List(List::new(ListKind::Lists, chunks.collect())))
}

fn sort_alpha(call: &Call<'_>) -> Result<Value, String> {
    let value = call.arg(0);
    if value.items().is_none() {
        return Ok(Value::strings([text_of(value)?]));
    }
    let mut sorted = texts(value)?;
    sorted.sort_unstable();
    Ok(Value::strings(sorted))
}

/// The numbers from `start` up or down to `stop`, without it.
fn range(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    if (stop < start && step >= 0) || (stop >= start && step <= 0) {
        return Ok(Vec::new());
    }
    let count = (i128::from(stop) - i128::from(start)).unsigned_abs() / u128::from(step.unsigned_abs());
    if count > (MAX_LENGTH / size_of::<Value>()) as u128 {
        return Err(format!("a list of {count} numbers is too long"));
    }
    let mut numbers = Vec::new();
    let mut number = start;
    while (step > 0 && number < stop) || (step < 0 && number > stop) {
        numbers.push(number);
        number = number.saturating_add(step);
    }
    Ok(numbers)
}

fn ints(numbers: Vec<i64>) -> Result<Value, String> {
    let items = numbers.into_iter().map(Value::Int).collect();
    Ok(Value::List(List::new(ListKind::Ints, items)))
}

/// The numbers of the shell's `seq`, with spaces between them.
fn seq(call: &Call<'_>) -> Result<Value, String> {
    let numbers = match call.args().len() {
        1 => {
            let end = call.int(0);
            let step = if end < 1 { -1 } else { 1 };
            range(1, end.saturating_add(step), step)?
        }
        2 => {
            let (start, end) = (call.int(0), call.int(1));
            let step = if end < start { -1 } else { 1 };
            range(start, end.saturating_add(step), step)?
        }
        3 => {
            let (start, step, end) = (call.int(0), call.int(1), call.int(2));
            let beyond = if end < start { -1 } else { 1 };
            if end < start && step > 0 {
                return Ok("".into());
            }
            range(start, end.saturating_add(beyond), step)?
        }
        _ => Vec::new(),
    };
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(texts.join(" ").into())
}
