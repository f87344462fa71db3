//! Keys and certificates, as sprig makes them: RSA keys of 2048 bits, signed with SHA-256.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::pkcs8::DecodePrivateKey as _;
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder as _, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Any, Ia5String, OctetString, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::{rfc4519, rfc5280};
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{self, Decode as _, DecodePem as _, Encode as _, EncodePem as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use super::Type::{Any as AnyType, Int, String as Text};
use super::{Call, Function, plain, random};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("genPrivateKey", &[Text], private_key),
    plain("genCA", &[Text, Int], |c| authority(c, new_key(c, CERTIFICATE_BITS)?)),
    plain("genCAWithKey", &[Text, Int, Text], |c| authority(c, read_key(&c.text(2))?)),
    plain("genSelfSignedCert", &[Text, AnyType, AnyType, Int], |c| {
        self_signed(c, new_key(c, CERTIFICATE_BITS)?)
    }),
    plain("genSelfSignedCertWithKey", &[Text, AnyType, AnyType, Int, Text], |c| {
        self_signed(c, read_key(&c.text(4))?)
    }),
    plain("genSignedCert", &[Text, AnyType, AnyType, Int, AnyType], |c| {
        signed(c, new_key(c, CERTIFICATE_BITS)?)
    }),
    plain("genSignedCertWithKey", &[Text, AnyType, AnyType, Int, AnyType, Text], |c| {
        signed(c, read_key(&c.text(5))?)
    }),
    plain("buildCustomCert", &[Text, Text], |c| {
        let decode = |index, what: &str| {
            let bytes = STANDARD.decode(c.bytes(index)).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or_else(|| format!("unable to decode base64 {what}"))
        };
        let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
        read_certificate(&cert)?;
        read_key(&key)?;
        Ok(pair(cert, key))
    }),
];

/// The sizes of a certificate's key, and of a key without a certificate.
const CERTIFICATE_BITS: usize = 2048;
const KEY_BITS: usize = 4096;

/// The cost of a bit of a key in produced bytes, which limits how many keys a render can make.
const COST_OF_A_BIT: usize = 4 << 10;

fn new_key(call: &Call<'_>, bits: usize) -> Result<PrivateKey, String> {
    call.will_produce(bits * COST_OF_A_BIT)?;
    PrivateKey::new(&mut rand::rng(), bits).map_err(|error| format!("error generating rsa key: {error}"))
}

fn key_to_pem(key: &PrivateKey) -> Result<String, String> {
    let pem = key.to_pkcs1_pem(LineEnding::LF);
    pem.map(|pem| pem.to_string()).map_err(|error| format!("error pem-encoding key: {error}"))
}

fn read_key(pem: &str) -> Result<PrivateKey, String> {
    PrivateKey::from_pkcs1_pem(pem)
        .or_else(|_| PrivateKey::from_pkcs8_pem(pem))
        .map_err(|error| format!("error parsing private key, which has to be an RSA key in PEM: {error}"))
}

fn private_key(call: &Call<'_>) -> Result<Value, String> {
    match &*call.text(0) {
        "" | "rsa" => Ok(key_to_pem(&new_key(call, KEY_BITS)?)?.into()),
        "ed25519" => {
            // RFC 8410: a key is 32 random bytes after a constant prefix.
            let mut key = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20\
                             ................................";
            random::fill(&mut key[16..])?;
            let pem = der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &key);
            Ok(pem.map_err(|error| format!("error pem-encoding key: {error}"))?.into())
        }
        kind @ ("dsa" | "ecdsa") => Err(format!("this renderer makes no {kind} keys; take rsa or ed25519")),
        other => Ok(format!("Unknown type {other}").into()),
    }
}

fn read_certificate(pem: &str) -> Result<Certificate, String> {
    Certificate::from_pem(pem).map_err(|error| format!("error parsing certificate: {error}"))
}

fn pair(cert: String, key: String) -> Value {
    Value::object([("Cert", cert.into()), ("Key", key.into())])
}

fn authority(call: &Call<'_>, key: PrivateKey) -> Result<Value, String> {
    let subject = Subject::new(&call.text(0), &[], &[])?;
    issue(subject, call.int(1), &key, &Issuer::Itself { is_authority: true })
}

fn self_signed(call: &Call<'_>, key: PrivateKey) -> Result<Value, String> {
    let subject = Subject::of(call)?;
    issue(subject, call.int(3), &key, &Issuer::Itself { is_authority: false })
}

fn signed(call: &Call<'_>, key: PrivateKey) -> Result<Value, String> {
    let Value::Map(authority) = call.arg(4) else {
        return Err("the certificate to sign with has to be what genCA gives".into());
    };
    let text = |map: &Map, name| match map.get(name) {
        Some(Value::String(text)) => text,
        _ => "".into(),
    };
    let certificate = read_certificate(&text(authority, "Cert"))?;
    let authority_key = read_key(&text(authority, "Key"))?;
    let public = SubjectPublicKeyInfoOwned::from_key(&authority_key.to_public_key());
    if public.ok().as_ref() != Some(certificate.tbs_certificate().subject_public_key_info()) {
        return Err("error creating certificate: the private key is not the certificate's".into());
    }
    let subject = Subject::of(call)?;
    let issuer = Issuer::Authority(Box::new(Authority { certificate, key: authority_key }));
    issue(subject, call.int(3), &key, &issuer)
}

/// Whom a certificate is for.
struct Subject {
    name: Name,
    alternatives: Vec<GeneralName>,
}

impl Subject {
    /// From the arguments of a call: name, addresses, DNS names.
    fn of(call: &Call<'_>) -> Result<Self, String> {
        Self::new(&call.text(0), items(call, 1)?, items(call, 2)?)
    }

    fn new(name: &str, addresses: &[Value], dns_names: &[Value]) -> Result<Self, String> {
        let mut alternatives = Vec::new();
        for dns_name in dns_names {
            let Value::String(text) = dns_name else {
                return Err("error processing alternate dns name: it is not a string".into());
            };
            let name = Ia5String::new(&**text).map_err(|error| format!("DNS name {text:?}: {error}"))?;
            alternatives.push(GeneralName::DnsName(name));
        }
        for address in addresses {
            let Value::String(text) = address else {
                return Err("error parsing ip: it is not a string".into());
            };
            let address: IpAddr = text.parse().map_err(|_| format!("error parsing ip: {text}"))?;
            alternatives.push(address.into());
        }
        let name = common_name(name).map_err(|error| format!("common name {name:?}: {error}"))?;
        Ok(Self { name, alternatives })
    }
}

/// The items of a list; nil has none.
fn items<'a>(call: &Call<'a>, index: usize) -> Result<&'a [Value], String> {
    match call.arg(index) {
        Value::List(list) => Ok(list.items()),
        Value::Nil => Ok(&[]),
        other => Err(format!("wrong type for value; expected []interface {{}}; got {}", other.type_name())),
    }
}

fn common_name(text: &str) -> der::Result<Name> {
    let mut names = RdnSequence::default();
    if !text.is_empty() {
        // As Go does: the plainest type that can hold it.
        let value = match PrintableStringRef::new(text) {
            Ok(printable) => Any::encode_from(&printable)?,
            Err(_) => Any::encode_from(&Utf8StringRef::new(text)?)?,
        };
        let name = AttributeTypeAndValue { oid: rfc4519::COMMON_NAME, value };
        names.push(RelativeDistinguishedName::try_from(vec![name])?);
    }
    Name::from_der(&names.to_der()?)
}

/// Who signs a certificate.
enum Issuer {
    Itself { is_authority: bool },
    Authority(Box<Authority>),
}

struct Authority {
    certificate: Certificate,
    key: PrivateKey,
}

/// Issues a certificate; returns it with its key, in PEM.
fn issue(subject: Subject, days: i64, key: &PrivateKey, issuer: &Issuer) -> Result<Value, String> {
    let failed = |error: builder::Error| format!("error creating certificate: {error}");
    let profile = Profile { subject, issuer };
    let public = SubjectPublicKeyInfoOwned::from_key(&key.to_public_key()).map_err(|e| failed(e.into()))?;
    let serial = SerialNumber::generate(&mut rand::rng());
    let validity = validity(days).ok_or_else(|| format!("{days} days from now is no date"))?;
    let certificate = CertificateBuilder::new(profile, serial, validity, public).map_err(failed)?;
    let signer = match issuer {
        Issuer::Itself { .. } => key,
        Issuer::Authority(authority) => &authority.key,
    };
    let signer = SigningKey::<Sha256>::new(signer.clone());
    let certificate = certificate.build::<_, Signature>(&signer).map_err(failed)?;
    let pem = certificate.to_pem(LineEnding::LF).map_err(|error| failed(error.into()))?;
    Ok(pair(pem, key_to_pem(key)?))
}

/// From now, for a number of days.
fn validity(days: i64) -> Option<Validity> {
    let now = SystemTime::now();
    let length = Duration::from_secs(days.unsigned_abs().checked_mul(24 * 60 * 60)?);
    let end = if days < 0 { now.checked_sub(length) } else { now.checked_add(length) };
    Some(Validity::new(Time::try_from(now).ok()?, Time::try_from(end?).ok()?))
}

/// The extensions of sprig's certificates, in the order of Go's `crypto/x509`.
struct Profile<'a> {
    subject: Subject,
    issuer: &'a Issuer,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, subject: &Name) -> Name {
        match self.issuer {
            Issuer::Itself { .. } => subject.clone(),
            Issuer::Authority(authority) => authority.certificate.tbs_certificate().subject().clone(),
        }
    }

    fn get_subject(&self) -> Name {
        self.subject.name.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let mut extensions = Vec::new();
        let subject = certificate.subject();
        let ca = matches!(self.issuer, Issuer::Itself { is_authority: true });
        let mut usages = KeyUsages::KeyEncipherment | KeyUsages::DigitalSignature;
        if ca {
            usages |= KeyUsages::KeyCertSign;
        }
        let for_both_sides = vec![rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH];
        extensions.push(KeyUsage(usages).to_extension(subject, &extensions)?);
        extensions.push(ExtendedKeyUsage(for_both_sides).to_extension(subject, &extensions)?);
        let constraints = BasicConstraints { ca, path_len_constraint: None };
        extensions.push(constraints.to_extension(subject, &extensions)?);
        if ca {
            extensions.push(SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &extensions)?);
        }
        if let Issuer::Authority(authority) = self.issuer
            && let Some((_, id)) =
                authority.certificate.tbs_certificate().get_extension::<SubjectKeyIdentifier>()?
        {
            let key_identifier = Some(OctetString::new(id.0.as_bytes())?);
            let authority = AuthorityKeyIdentifier { key_identifier, ..AuthorityKeyIdentifier::default() };
            extensions.push(authority.to_extension(subject, &extensions)?);
        }
        if !self.subject.alternatives.is_empty() {
            let names = SubjectAltName(self.subject.alternatives.clone());
            extensions.push(names.to_extension(subject, &extensions)?);
        }
        Ok(extensions)
    }
}
