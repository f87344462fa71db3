//! Hashed, derived and encrypted passwords.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Type::{Int, String as Text};
use super::{Call, Function, plain, random};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("bcrypt", &[Text], |c| Ok(bcrypt(c, c.bytes(0))?.into())),
    plain("htpasswd", &[Text, Text], |c| {
        let name = c.text(0);
        if name.contains(':') {
            return Ok(format!("invalid username: {name}").into());
        }
        Ok(format!("{name}:{}", bcrypt(c, c.bytes(1))?).into())
    }),
    plain("derivePassword", &[Int, Text, Text, Text, Text], derive),
    plain("encryptAES", &[Text, Text], encrypt),
    plain("decryptAES", &[Text, Text], decrypt),
];

/// The cost of a slow password hash in produced bytes, which limits how many a render can compute.
const COST: usize = 1 << 20;

/// The default cost of Go's library.
const BCRYPT_COST: u32 = 10;
/// Longer passwords are refused, as bcrypt would ignore the rest.
const BCRYPT_LENGTH: usize = 72;

fn bcrypt(call: &Call<'_>, password: &[u8]) -> Result<String, String> {
    call.will_produce(COST)?;
    if password.len() > BCRYPT_LENGTH {
        // As in helm, a result and not an error.
        return Ok("failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".into());
    }
    let mut salt = [0; 16];
    random::fill(&mut salt)?;
    let hashed = bcrypt::hash_with_salt(password, BCRYPT_COST, salt);
    let hashed = hashed.map_err(|error| format!("failed to encrypt string with bcrypt: {error}"))?;
    Ok(hashed.format_for_version(bcrypt::Version::TwoA))
}

/// The Master Password algorithm: <https://spectre.app/spectre-algorithm.pdf>
fn derive(call: &Call<'_>) -> Result<Value, String> {
    call.will_produce(COST)?;
    let kind = call.text(1);
    let Some((_, templates)) = TEMPLATES.iter().find(|(name, _)| *name == kind) else {
        return Ok(format!("cannot find password template {kind}").into());
    };
    let counter = u32::try_from(call.int(0)).map_err(|_| "the counter is no 32-bit number")?;
    let (password, user, site) = (call.bytes(2), call.bytes(3), call.bytes(4));
    let salt = [SCOPE, &length(user)?, user].concat();
    let mut key = [0; 64];
    let parameters = scrypt::Params::new(15, 8, 2, key.len());
    parameters
        .ok()
        .and_then(|parameters| scrypt::scrypt(password, &salt, &parameters, &mut key).ok())
        .ok_or("failed to derive password")?;
    let mut seed = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    for part in [SCOPE, &length(site)?, site, &counter.to_be_bytes()] {
        seed.update(part);
    }
    let seed = seed.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let characters = template.bytes().zip(&seed[1..]).map(|(class, byte)| {
        let characters = class_of(class);
        char::from(characters[usize::from(*byte) % characters.len()])
    });
    Ok(characters.collect::<String>().into())
}

const SCOPE: &[u8] = b"com.lyndir.masterpassword";

fn length(bytes: &[u8]) -> Result<[u8; 4], String> {
    u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(|_| "a name is too long".into())
}

/// Patterns of passwords by kind; each letter is a class of characters.
const TEMPLATES: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

fn class_of(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The size of an AES block, and of the initialization vector in front.
const BLOCK: usize = 16;

/// A password as a key: its first 32 bytes, padded with zeros.
fn key_of(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let used = password.len().min(key.len());
    key[..used].copy_from_slice(&password[..used]);
    key
}

fn encrypt(call: &Call<'_>) -> Result<Value, String> {
    let plain = call.bytes(1);
    if plain.is_empty() {
        return Ok("".into());
    }
    let mut start = [0; BLOCK];
    random::fill(&mut start)?;
    let encryptor = cbc::Encryptor::<Aes256>::new(&key_of(call.bytes(0)).into(), &start.into());
    let encrypted = encryptor.encrypt_padded_vec_mut::<Pkcs7>(plain);
    Ok(STANDARD.encode([&start[..], &encrypted].concat()).into())
}

fn decrypt(call: &Call<'_>) -> Result<Value, String> {
    if call.bytes(1).is_empty() {
        return Ok("".into());
    }
    let bytes = STANDARD.decode(call.bytes(1)).map_err(|error| format!("illegal base64 data: {error}"))?;
    let (start, encrypted) = bytes.split_first_chunk::<BLOCK>().ok_or("encrypted text is too short")?;
    let decryptor = cbc::Decryptor::<Aes256>::new(&key_of(call.bytes(0)).into(), start.into());
    let plain = decryptor.decrypt_padded_vec_mut::<NoPadding>(encrypted);
    let plain = plain.map_err(|_| "encrypted text is not whole")?;
    // As in helm, only the count at the end is checked: a wrong password gives garbage.
    let padding = plain.last().map_or(0, |count| usize::from(*count));
    let length = plain.len().checked_sub(padding).ok_or("encrypted text is not whole")?;
    Ok(Value::string_of(&plain[..length]))
}
