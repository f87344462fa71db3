//! Semantic versions.

use std::rc::Rc;

use super::Type::String as Text;
use super::{Function, plain};
use crate::semver::{Constraints, Version};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("semver", &[Text], |c| Ok(Value::Version(Rc::new(Version::parse(&c.text(0))?)))),
    plain("semverCompare", &[Text, Text], |c| {
        let constraints = Constraints::parse(&c.text(0))?;
        let version = Version::parse(&c.text(1))?;
        Ok(constraints.check(&version).into())
    }),
];
