// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM from its configuration to its end.
//!
//! ```text
//! VmConfig -> VmBuilder::new      memory and interrupt controllers exist
//!          -> reserve_virtio_mmio a window, and the interrupt line to build a device with
//!          -> add_virtio_mmio     the device, with a doorbell for each queue
//!          -> add_serial          the console
//!          -> build -> Vm         kernel loaded, tables written, vCPUs in their entry state
//!          -> start -> RunningVm  threads run; stop(), wait(), outcome(), outcome_event()
//! ```

mod builder;
mod config;
mod error;
mod outcome;
mod running;

pub use builder::{MmioWindow, Vm, VmBuilder};
pub use config::{CpuCount, VmConfig};
pub use error::VmError;
pub use outcome::{Death, VmOutcome};
pub use running::{RunningVm, VmHandle};

pub(crate) use running::Ending;
