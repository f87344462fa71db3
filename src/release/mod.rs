//! Operations on a release, which is one installation of the chart.

pub(crate) mod broker_upgrade;
pub(crate) mod contents;
pub(crate) mod credentials;
pub mod diff;
pub mod down;
pub mod export;
pub mod manifests;
pub mod remembered;
pub mod status;
pub(crate) mod storage;
pub mod up;
pub mod worker_maps;
