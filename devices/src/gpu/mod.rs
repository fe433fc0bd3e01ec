// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtio-gpu device (virtio 1.4, section 5.7): 2D complete, over a GPU driver interface.
//!
//! The way of a command: `chain` copies it off its queue once, `rondo_protocol` decodes it, `dependencies` says what
//! it touches, `hazard` whether it may start, `translate` makes driver calls of it, `timeline` says when it may be
//! answered. `session` strings these together; `device` is what the rest of the world sees.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod chain;
mod config;
mod dependencies;
mod device;
mod display_context;
mod display_events;
mod events;
mod hazard;
mod in_flight;
pub mod limits;
mod reply;
mod resources;
mod ring;
mod ring_memory;
mod scanouts;
mod session;
mod shapes;
mod timeline;
mod translate;

pub use config::{ConfigError, GpuConfig};
pub use device::Gpu;
pub use events::GpuEvents;
