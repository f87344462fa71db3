//! The harness under its former name, for `reference.rs`.

pub use workqueue_test_support::{Sandbox, root};
