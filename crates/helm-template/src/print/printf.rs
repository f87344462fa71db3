//! Go's `fmt.Sprintf`.

mod number;
mod spec;
mod verb;

use super::{PrintResult, check_length, display};
use crate::value::Value;
use spec::Spec;
use verb::format_value;

/// Widths and precisions beyond this are refused, as in Go.
const MAX_FIELD: i64 = 1_000_000;

/// `fmt.Sprintf(format, args...)`.
pub(crate) fn sprintf(format: &str, args: &[Value]) -> PrintResult<String> {
    let mut formatter = Formatter { args, next: 0, reordered: false, good_index: true, out: String::new() };
    formatter.run(format)?;
    Ok(formatter.out)
}

struct Formatter<'a> {
    args: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
    out: String,
}

impl Formatter<'_> {
    fn run(&mut self, format: &str) -> PrintResult<()> {
        let mut rest = format;
        while let Some(percent) = rest.find('%') {
            self.out.push_str(&rest[..percent]);
            rest = self.verb(&rest[percent + 1..])?;
            check_length(&self.out)?;
        }
        self.out.push_str(rest);
        if !self.reordered && self.next < self.args.len() {
            self.extra()?;
        }
        Ok(())
    }

    /// Handles what follows a percent sign and returns the rest of the format.
    fn verb<'f>(&mut self, mut rest: &'f str) -> PrintResult<&'f str> {
        let mut spec = Spec::default();
        self.good_index = true;
        self.reordered = false;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                ' ' => spec.space = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        let mut after_index = false;
        rest = self.index(rest, &mut after_index);
        rest = self.width(rest, &mut spec, &mut after_index);
        rest = self.precision(rest, &mut spec, &mut after_index);
        if !after_index {
            rest = self.index(rest, &mut after_index);
        }
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return Ok(rest);
        };
        let rest = &rest[verb.len_utf8()..];
        match verb {
            '%' => self.out.push('%'),
            _ if !self.good_index => self.out.push_str(&format!("%!{verb}(BADINDEX)")),
            _ if self.next >= self.args.len() => self.out.push_str(&format!("%!{verb}(MISSING)")),
            _ => {
                // With %v, a plus is for the names of fields, not for signs.
                spec.plus &= verb != 'v';
                let arg = &self.args[self.next];
                self.next += 1;
                format_value(&mut self.out, &spec, verb, arg, 0)?;
            }
        }
        Ok(rest)
    }

    /// An explicit argument index: `[2]`.
    fn index<'f>(&mut self, rest: &'f str, found: &mut bool) -> &'f str {
        let Some(inner) = rest.strip_prefix('[') else {
            return rest;
        };
        self.reordered = true;
        let Some(end) = inner.find(']') else {
            self.good_index = false;
            return inner;
        };
        *found = true;
        match inner[..end].parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => self.next = number - 1,
            _ => self.good_index = false,
        }
        &inner[end + 1..]
    }

    fn width<'f>(&mut self, rest: &'f str, spec: &mut Spec, after_index: &mut bool) -> &'f str {
        if let Some(rest) = rest.strip_prefix('*') {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            *after_index = false;
            return rest;
        }
        let (number, rest) = leading_number(rest);
        if number.is_some() && *after_index {
            self.good_index = false;
        }
        spec.width = number;
        rest
    }

    fn precision<'f>(&mut self, rest: &'f str, spec: &mut Spec, after_index: &mut bool) -> &'f str {
        let Some(mut rest) = rest.strip_prefix('.') else {
            return rest;
        };
        if *after_index {
            self.good_index = false;
        }
        *after_index = false;
        rest = self.index(rest, after_index);
        if let Some(rest) = rest.strip_prefix('*') {
            match self.star() {
                Some(precision) => spec.precision = usize::try_from(precision).ok(),
                None => self.out.push_str("%!(BADPREC)"),
            }
            *after_index = false;
            return rest;
        }
        let (number, rest) = leading_number(rest);
        spec.precision = Some(number.unwrap_or(0));
        rest
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.args.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(n) | Value::Int64(n) if n.abs() <= MAX_FIELD => Some(*n),
            _ => None,
        }
    }

    fn extra(&mut self) -> PrintResult<()> {
        self.out.push_str("%!(EXTRA ");
        for (index, value) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if value.is_nil() {
                self.out.push_str("<nil>");
            } else {
                self.out.push_str(value.type_name());
                self.out.push('=');
                self.out.push_str(&display(value)?);
            }
        }
        self.out.push(')');
        Ok(())
    }
}

fn leading_number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse::<i64>().ok().filter(|n| *n <= MAX_FIELD);
    (number.and_then(|n| usize::try_from(n).ok()), &text[end..])
}
