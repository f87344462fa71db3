//! Go's quoted strings (`strconv.Quote` and `Unquote`).

/// Whether Go prints the character as it is (`unicode.IsPrint`).
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library has the same table for Debug. It also escapes some printable characters
    // at the start of a text, hence the letter in front.
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    format!("a{text}").escape_debug().nth(1) == Some(c)
}

/// `strconv.Quote`: a double-quoted Go literal.
pub(crate) fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', false)
}

/// `strconv.QuoteToASCII`.
pub(crate) fn quote_to_ascii(bytes: &[u8]) -> String {
    quote_with(bytes, '"', true)
}

/// `strconv.QuoteRune`.
pub(crate) fn quote_char(c: char) -> String {
    quote_with(c.to_string().as_bytes(), '\'', false)
}

fn quote_with(bytes: &[u8], quote: char, ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(quote);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(&mut out, c, quote, ascii);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push(quote);
    out
}

fn push_char(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if is_printable(c) && (c.is_ascii() || !ascii) => out.push(c),
        c if c < '\u{80}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if c <= '\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// The bytes of a double-quoted or single-quoted Go literal, without its quotes.
pub(crate) fn unquote(body: &str, quote: char) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(c) = rest.next() {
        if c == quote || c == '\n' {
            return None;
        }
        if c == '\\' {
            unescape(&mut rest, quote, &mut out)?;
        } else {
            push_utf8(&mut out, c);
        }
    }
    Some(out)
}

fn push_utf8(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unescape(rest: &mut std::str::Chars<'_>, quote: char, out: &mut Vec<u8>) -> Option<()> {
    let byte = match rest.next()? {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c @ ('\'' | '"') if c == quote => c as u8,
        'x' => u8::try_from(digits(rest, 2, 16, 0)?).ok()?,
        c @ '0'..='7' => u8::try_from(digits(rest, 2, 8, c.to_digit(8)?)?).ok()?,
        'u' => return push_scalar(out, digits(rest, 4, 16, 0)?),
        'U' => return push_scalar(out, digits(rest, 8, 16, 0)?),
        _ => return None,
    };
    out.push(byte);
    Some(())
}

fn push_scalar(out: &mut Vec<u8>, code: u32) -> Option<()> {
    push_utf8(out, char::from_u32(code)?);
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, radix: u32, start: u32) -> Option<u32> {
    let mut value = start;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    Some(value)
}
