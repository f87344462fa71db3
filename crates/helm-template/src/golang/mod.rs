//! What templates can see of Go's standard library: the forms of numbers and strings, and `time`.

pub(crate) mod binary_float;
pub(crate) mod decimal;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod quote;
pub(crate) mod time;
pub(crate) mod time_layout;
pub(crate) mod zone;
