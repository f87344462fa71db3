//! Functions that helm has and this engine has not: keys, certificates, password hashes, and the
//! reading of TOML. They are listed so that a chart that merely names one still renders.

use super::Type::Any;
use super::{Body, Function};

const fn unsupported(name: &'static str) -> Function {
    Function { name, params: &[], rest: Some(Any), body: Body::Unsupported }
}

pub(super) const FUNCTIONS: &[Function] = &[
    unsupported("bcrypt"),
    unsupported("buildCustomCert"),
    unsupported("decryptAES"),
    unsupported("derivePassword"),
    unsupported("encryptAES"),
    unsupported("fromToml"),
    unsupported("genCA"),
    unsupported("genCAWithKey"),
    unsupported("genPrivateKey"),
    unsupported("genSelfSignedCert"),
    unsupported("genSelfSignedCertWithKey"),
    unsupported("genSignedCert"),
    unsupported("genSignedCertWithKey"),
    unsupported("htpasswd"),
];
