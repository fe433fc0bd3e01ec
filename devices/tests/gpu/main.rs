// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device as a guest sees it, behind its registers and rings, over the software GPU.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod defects;
mod golden;
mod hostile;
mod memory_pressure;
mod mmio;
mod quiet;
mod reference_model;
mod support;
