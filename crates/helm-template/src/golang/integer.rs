//! `strconv.ParseInt` with base 0, of texts without underscores.

/// Reads an integer in Go's syntax: decimal, `0x`, `0o`, `0b`, or octal after a zero. Returns
/// whether it is negative, and its magnitude.
pub(crate) fn parse(plain: &str) -> Option<(bool, u64)> {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    // Rust's parser would accept a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    Some((plain.starts_with('-'), u64::from_str_radix(digits, radix).ok()?))
}
