//! What templates can see of Go's standard library: number and string formats, `fmt`, `time`.

pub(crate) mod decimal;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod print;
pub(crate) mod printf;
pub(crate) mod quote;
pub(crate) mod time;
mod time_layout;
pub(crate) mod zone;
