// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The driver's sources, under the names that they have there, and the models.

#[path = "../../../src/gpu/arbiter.rs"]
mod arbiter;
#[path = "../../../src/gpu/engine_cores.rs"]
mod engine_cores;
#[path = "../../../src/gpu/signals.rs"]
mod signals;
#[path = "../../../src/gpu/timer.rs"]
mod timer;

mod models;
mod vm;
