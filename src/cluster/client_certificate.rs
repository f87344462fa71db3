//! What is wrong with a client certificate that the TLS library refuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::config::AuthInfo;

/// Whether the configuration's client certificate is of X.509 version 1, which rustls does not take
/// (RFC 5280 has only version 3; `openssl x509 -req` without extensions still makes version 1).
pub(super) fn is_version_1(auth: &AuthInfo) -> bool {
    let pem = match (&auth.client_certificate_data, &auth.client_certificate) {
        (Some(data), _) => BASE64.decode(data).ok(),
        (None, Some(path)) => std::fs::read(path).ok(),
        (None, None) => None,
    };
    pem.and_then(|pem| has_version(&der(&String::from_utf8(pem).ok()?)?))
        .is_some_and(|has_version| !has_version)
}

/// The first certificate of a PEM text.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (base64, _) = rest.split_once("-----END")?;
    BASE64.decode(base64.split_ascii_whitespace().collect::<String>()).ok()
}

/// Whether a certificate states its version. One of version 1 must not: it starts with its number
/// (RFC 5280, 4.1: `version [0] EXPLICIT Version DEFAULT v1`).
fn has_version(certificate: &[u8]) -> Option<bool> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let inner = content(content(certificate, SEQUENCE)?, SEQUENCE)?;
    Some(*inner.first()? == VERSION)
}

/// What is in a DER value with this tag.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&[own, length], rest) = der.split_first_chunk()?;
    let more = if length & 0x80 == 0 { 0 } else { usize::from(length & 0x7f) };
    (own == tag).then(|| rest.get(more..))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_of_version_1_state_none() {
        assert_eq!(has_version(&[0x30, 0x82, 1, 0, 0x30, 0x81, 200, 0x02, 1, 7]), Some(false));
        assert_eq!(has_version(&[0x30, 5, 0x30, 3, 0xa0, 3, 2]), Some(true));
        for other in [&[][..], b"0", b"01", &[0x31, 5, 0x30, 3, 2], &[0x30, 0x84, 0, 0]] {
            assert_eq!(has_version(other), None, "{other:?}");
        }
    }
}
