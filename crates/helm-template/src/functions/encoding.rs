//! Base64 and base32.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Type::String as Text;
use super::{Function, plain};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("b64enc", &[Text], |c| Ok(STANDARD.encode(c.bytes(0)).into())),
    plain("b64dec", &[Text], |c| Ok(base64_decoded(c.bytes(0)))),
    plain("b32enc", &[Text], |c| Ok(base32_encoded(c.bytes(0)).into())),
    plain("b32dec", &[Text], |c| Ok(base32_decoded(c.bytes(0)))),
];

/// The decoded bytes, or the error message, as in helm.
fn base64_decoded(text: &[u8]) -> Value {
    let packed: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    match STANDARD.decode(&packed) {
        Ok(bytes) => Value::string_of_bytes(bytes),
        Err(_) => {
            let at = offset_of_error(&packed, is_base64, 4);
            format!("illegal base64 data at input byte {at}").into()
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where Go's decoder stops: at the first invalid byte, or where input is missing.
fn offset_of_error(text: &[u8], belongs: fn(u8) -> bool, block: usize) -> usize {
    let end = text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len());
    if end < text.len() && text[end] != b'=' {
        return end;
    }
    if end < text.len() && end % block >= 2 {
        let wanted = block - end % block;
        let padding = text[end..].iter().take(wanted).take_while(|byte| **byte == b'=').count();
        return if padding < wanted { end + padding - 1 } else { end + padding };
    }
    if end < text.len() { end } else { end - end % block }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for block in bytes.chunks(5) {
        let mut padded = [0_u8; 8];
        padded[3..3 + block.len()].copy_from_slice(block);
        let bits = u64::from_be_bytes(padded);
        let digits = (block.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = bits >> (35 - 5 * index) & 31;
            out.push(if index < digits { char::from(BASE32[digit as usize]) } else { '=' });
        }
    }
    out
}

fn base32_decoded(text: &[u8]) -> Value {
    let packed: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    match decode_base32(&packed) {
        Some(bytes) => Value::string_of_bytes(bytes),
        None => {
            let at = offset_of_error(&packed, |b| BASE32.contains(&b), 8);
            format!("illegal base32 data at input byte {at}").into()
        }
    }
}

fn decode_base32(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(8) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 8 * 5);
    for (index, block) in text.chunks(8).enumerate() {
        let digits = block.iter().position(|b| *b == b'=').unwrap_or(8);
        let is_last = (index + 1) * 8 == text.len();
        let padded = block[digits..].iter().all(|b| *b == b'=');
        if !padded || (digits < 8 && !is_last) || !matches!(digits, 2 | 4 | 5 | 7 | 8) {
            return None;
        }
        let mut bits = 0_u64;
        for byte in &block[..digits] {
            let digit = BASE32.iter().position(|own| own == byte)?;
            bits = bits << 5 | digit as u64;
        }
        bits <<= 5 * (8 - digits);
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + digits * 5 / 8]);
    }
    Some(out)
}
