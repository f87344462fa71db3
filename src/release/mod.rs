//! A release: one installation of the chart, from its values to its objects in the cluster.

pub mod diff;
pub mod down;
pub mod export;
pub mod manifests;
pub mod status;
pub(crate) mod storage;
pub mod up;
