// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a guest sees: the virtio-gpu device model, its transport, its display sinks, and the few legacy devices of a microVM.
//!
//! Nothing here depends on KVM: guest memory, interrupt lines and the GPU driver interface come in as traits.

pub mod bus;
pub mod display;
pub mod gpu;
pub mod interrupt;
pub mod legacy;
pub mod virtio;
