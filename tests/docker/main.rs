//! Containers, on the engines that `OSTLER_TEST_DOCKER` and `OSTLER_TEST_PODMAN` name (`unix:///…`). `scripts/engines`
//! starts both and makes the images. Without them each test is skipped, said and counted.

#![cfg(feature = "docker")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod attach;
mod confinement;
mod daemon;
mod engine;
mod engines;
mod exit;
mod hang;
mod health;
mod image;
mod lease;
mod logs;
mod owner;
mod private;
mod relay;
mod remote;
mod service;
mod stats;
