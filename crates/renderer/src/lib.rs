// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The software GPU: images, guest backings, and work that runs in bounded, preemptible units.
//!
//! The renderer knows no protocol, no scheduler, no clock and no thread: a caller hands it work and a budget, and it
//! comes back when the work is done or the budget is spent.

pub mod backing;
mod blit;
pub mod cursor;
pub mod format;
pub mod frame;
pub mod geometry;
pub mod image;
pub mod pixels;
mod present;
pub mod screen;
pub mod software;
pub mod unit;
mod upload;
pub mod work;
