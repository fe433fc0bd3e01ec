// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The promises of the scheduler inside a VM.
#![allow(clippy::unwrap_used)]

mod bands;
mod contexts;
mod floor;
mod outer;
mod processes;
mod random;
mod world;
