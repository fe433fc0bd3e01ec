// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who runs next on a GPU engine, for how long, and who owes what.
//!
//! A pure core: [`Scheduler::on`] takes an instant and an [`Event`] and appends [`Action`]s. No clock, no thread, no
//! float, no I/O, no randomness; no allocation in the steady state. The same code runs in real time under threads and
//! in simulated time, and a recorded run replays bit for bit.

#![forbid(unsafe_code)]

mod event;
mod ids;
mod profile;
mod time;

pub use event::{Action, Event};
pub use ids::{EngineId, VmId};
pub use profile::{Mode, VmProfile};
pub use time::{Nanos, Ppm};
