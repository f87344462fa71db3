//! A run: one or several Jobs over a queue, from their manifest to the final report.

pub(crate) mod books;
pub(crate) mod brought_worker;
pub mod delete;
pub mod find;
pub mod follow;
pub(crate) mod followed_pods;
pub(crate) mod followed_run;
pub(crate) mod job_manifest;
pub(crate) mod last_pods;
pub mod logs;
pub mod map;
pub(crate) mod outputs;
pub mod plan;
pub(crate) mod pod_stages;
pub mod queue_watch;
pub mod scale;
pub mod script;
pub mod start;
pub(crate) mod start_failures;
pub(crate) mod starting;
pub mod stop;
pub(crate) mod workers_login;
