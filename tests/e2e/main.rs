//! The promises of the documentation, kept on a real cluster: the plugin's executable, driven
//! through kubectl, against an API server, a kubelet and RabbitMQ.
//!
//! Needs the variables that `tests/cluster/env` prints; `make e2e` sets them and runs all of it.

mod broker;
mod build;
mod chart;
mod credentials;
mod data;
mod deaths;
mod doctor;
mod errors;
mod failed;
mod faults;
mod follow;
mod half_open;
mod hardened;
mod inject;
mod ledger;
mod logs;
mod map;
mod migration;
mod names;
mod privilege;
mod queues;
mod render;
mod residents;
mod results;
mod roles;
mod scale;
mod secrets;
mod seeding;
mod starting;
mod tutorial;
mod worker;
