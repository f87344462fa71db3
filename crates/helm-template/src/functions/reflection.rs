//! The types of values.

use super::Type::{Any, String as Text};
use super::{Function, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("typeOf", &[Any], |c| Ok(c.arg(0).type_name().into())),
    plain("typeIs", &[Text, Any], |c| Ok((c.text(0) == c.arg(1).type_name()).into())),
    plain("typeIsLike", &[Text, Any], |c| {
        let (wanted, own) = (c.text(0), c.arg(1).type_name());
        Ok((wanted == own || format!("*{wanted}") == own).into())
    }),
    plain("kindOf", &[Any], |c| Ok(c.arg(0).kind_name().into())),
    plain("kindIs", &[Text, Any], |c| Ok((c.text(0) == c.arg(1).kind_name()).into())),
];
