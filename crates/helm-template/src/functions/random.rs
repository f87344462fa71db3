//! Random strings and numbers, from the system's generator.

use base64::Engine as _;

use super::Type::{Int, String as Text};
use super::{Call, Function, plain};
use crate::value::Value;

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) const FUNCTIONS: &[Function] = &[
    plain("randAlphaNum", &[Int], |c| characters(c, ALPHANUMERIC)),
    plain("randAlpha", &[Int], |c| characters(c, LETTERS)),
    plain("randNumeric", &[Int], |c| characters(c, DIGITS)),
    plain("randAscii", &[Int], |c| {
        let printable: Vec<u8> = (b' '..=b'~').collect();
        characters(c, &printable)
    }),
    plain("randBytes", &[Int], |c| {
        let bytes = random_bytes(c)?;
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into())
    }),
    plain("randInt", &[Int, Int], |c| {
        let (low, high) = (c.int(0), c.int(1));
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        if width == 0 {
            return Err("invalid argument to Intn".into());
        }
        Ok(Value::Int(low.saturating_add_unsigned(below(width)?)))
    }),
    plain("shuffle", &[Text], |c| {
        let mut chars: Vec<char> = c.text(0).chars().collect();
        for last in (1..chars.len()).rev() {
            let other = usize::try_from(below(last as u64 + 1)?).unwrap_or(0);
            chars.swap(last, other);
        }
        Ok(chars.into_iter().collect::<String>().into())
    }),
    plain("uuidv4", &[], |_| {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(uuid(&bytes).into())
    }),
];

/// Fills a buffer with random bytes.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|error| format!("no random numbers: {error}"))
}

fn random_bytes(call: &Call<'_>) -> Result<Vec<u8>, String> {
    let count = usize::try_from(call.int(0)).map_err(|_| "negative count of random characters")?;
    call.will_produce(count)?;
    let mut bytes = vec![0; count];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A number below a bound, each with the same probability.
fn below(bound: u64) -> Result<u64, String> {
    // Numbers above the last multiple of the bound would favour small results.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        fill(&mut bytes)?;
        let number = u64::from_le_bytes(bytes);
        if number < limit {
            return Ok(number % bound);
        }
    }
}

fn characters(call: &Call<'_>, alphabet: &[u8]) -> Result<Value, String> {
    let count = usize::try_from(call.int(0)).map_err(|_| "negative count of random characters")?;
    call.will_produce(count)?;
    let mut out = String::with_capacity(count);
    for _ in 0..count {
        let index = usize::try_from(below(alphabet.len() as u64)?).unwrap_or(0);
        out.push(char::from(alphabet[index]));
    }
    Ok(out.into())
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}
