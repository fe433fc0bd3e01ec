// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduler's promises, in simulated time. Every random test names its seed when it fails.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod asking;
mod best_effort;
mod changes;
mod clients;
mod contract;
mod debt;
mod desk;
mod engines;
mod every_policy;
mod fair;
mod fixed;
mod fluid;
mod guarantee;
mod hangs;
mod late;
mod live;
mod order;
mod priority;
mod random;
mod setups;
mod shares;
mod world;
