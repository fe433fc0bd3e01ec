// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduler in a simulated world: what it gives each VM, to the nanosecond, and what others would have given.
//!
//! A [`scenario`] names VMs with shares and [`load`]s. The [`world`] runs it in simulated time on engines whose units
//! cannot be cut; an [`arbiter`] (the scheduler that Rondo ships, or a comparator) says who is next. The [`metrics`]
//! compare the outcome with the exact [`fluid`] references, the [`trace`] has every interval. Integers decide everything
//! and the seed is the only chance, so a run is the same on every machine.

#![forbid(unsafe_code)]

pub mod arbiter;
mod client;
pub mod comparators;
pub mod compare;
pub mod contender;
pub mod fluid;
pub mod inside_report;
pub mod load;
pub mod logarithm;
pub mod metrics;
pub mod plots;
pub mod random;
pub mod replay;
pub mod run_table;
pub mod scenario;
pub mod shipped;
pub mod simulation;
pub mod sweep;
pub mod trace;
pub mod world;
