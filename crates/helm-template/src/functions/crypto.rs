//! Checksums.

use sha1::Digest as _;

use super::Type::String as Text;
use super::{Function, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("sha1sum", &[Text], |c| Ok(hex(&sha1::Sha1::digest(c.bytes(0))).into())),
    plain("sha256sum", &[Text], |c| Ok(hex(&sha2::Sha256::digest(c.bytes(0))).into())),
    plain("sha512sum", &[Text], |c| Ok(hex(&sha2::Sha512::digest(c.bytes(0))).into())),
    plain("adler32sum", &[Text], |c| Ok(adler32(c.bytes(0)).to_string().into())),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}
