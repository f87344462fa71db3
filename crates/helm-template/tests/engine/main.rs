//! Tests of the chart engine: against recorded outcomes of helm, and against helm itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod certificates;
mod differential;
mod errors;
mod hostile;
mod metadata;
mod recorded;
mod support;
mod values;
