//! The certificates that templates make: whom they name, who signed them, and that the keys fit.

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use rsa::{PrivateKey, PublicKey};
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::support::render_text;

/// A certificate and its key, which fits.
fn read(cert: &str, key: &str) -> (Certificate, PrivateKey) {
    let cert = Certificate::from_pem(cert).expect("a certificate");
    let key = PrivateKey::from_pkcs1_pem(key).expect("an RSA key");
    let public = SubjectPublicKeyInfoOwned::from_key(&key.to_public_key()).expect("it has a public half");
    assert_eq!(cert.tbs_certificate().subject_public_key_info(), &public);
    (cert, key)
}

fn is_signed_by(cert: &Certificate, signer: PublicKey) -> bool {
    let signed = cert.tbs_certificate().to_der().expect("DER");
    let signature = Signature::try_from(cert.signature().raw_bytes()).expect("a signature");
    VerifyingKey::<Sha256>::new(signer).verify(&signed, &signature).is_ok()
}

#[test]
fn an_authority_signs_what_it_is_asked_for() {
    let template = r#"
        {{- $ca := genCA "the ca" 30 }}
        {{- $cert := genSignedCert "a, b" (list "10.0.0.1" "::1") (list "a.example" "*.b.example") 7 $ca }}
        {{- $again := genSelfSignedCertWithKey "own" nil nil 7 $cert.Key }}
        {{- list $ca.Cert $ca.Key $cert.Cert $cert.Key $again.Cert $again.Key | toJson }}"#;
    let printed = render_text(template, "").expect("it renders");
    let parts: Vec<String> = serde_json::from_str(printed.trim()).expect("JSON");
    let [ca_cert, ca_key, cert, key, own_cert, own_key] = &parts[..] else { panic!("{parts:?}") };
    let (ca, ca_key) = read(ca_cert, ca_key);
    let (cert, key) = read(cert, key);
    let (own, own_key) = read(own_cert, own_key);

    assert!(is_signed_by(&ca, ca_key.to_public_key()));
    assert!(is_signed_by(&cert, ca_key.to_public_key()) && !is_signed_by(&cert, key.to_public_key()));
    assert!(is_signed_by(&own, own_key.to_public_key()) && own_key == key);

    let (ca, cert) = (ca.tbs_certificate(), cert.tbs_certificate());
    assert_eq!((ca.subject().to_string(), ca.issuer().to_string()), ("CN=the ca".into(), "CN=the ca".into()));
    assert_eq!(
        (cert.subject().to_string(), cert.issuer().to_string()),
        (r"CN=a\, b".into(), "CN=the ca".into())
    );
    let length = |cert: &x509_cert::TbsCertificate| {
        let bounds = cert.validity();
        (bounds.not_after.to_unix_duration() - bounds.not_before.to_unix_duration()).as_secs()
            / (24 * 60 * 60)
    };
    assert_eq!((length(ca), length(cert)), (30, 7));
    let is_authority = |cert: &x509_cert::TbsCertificate| {
        let found = cert.get_extension::<BasicConstraints>().expect("it decodes");
        found.expect("it is there").1.ca
    };
    assert!(is_authority(ca) && !is_authority(cert));
    let (_, id) = ca.get_extension::<SubjectKeyIdentifier>().expect("it decodes").expect("it is there");
    let (_, of) = cert.get_extension::<AuthorityKeyIdentifier>().expect("it decodes").expect("it is there");
    assert_eq!(Some(id.0), of.key_identifier);
    let (_, names) = cert.get_extension::<SubjectAltName>().expect("it decodes").expect("it is there");
    let names = names.0.iter().map(|name| match name {
        GeneralName::DnsName(name) => name.to_string(),
        GeneralName::IpAddress(bytes) => format!("{:?}", bytes.as_bytes()),
        other => panic!("{other:?}"),
    });
    let want =
        ["a.example", "*.b.example", "[10, 0, 0, 1]", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]"];
    assert_eq!(names.collect::<Vec<_>>(), want);
}

#[test]
fn keys_count_for_what_they_take() {
    // All but a few megabytes of what a render may produce.
    let most = "{{ range until 8 }}{{ $_ := repeat 33400000 \"x\" }}{{ end }}";
    assert_eq!(
        render_text(&format!("{most}{{{{ genPrivateKey \"ed25519\" | len }}}}"), "").expect("it fits"),
        "119"
    );
    let error = render_text(&format!("{most}{{{{ genCA \"x\" 1 }}}}"), "").expect_err("too much");
    assert!(error.to_string().contains("produced more than"), "{error}");
}
