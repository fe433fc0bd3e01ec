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
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rondo::boot::KernelSource;
//! use rondo::kvm::Hypervisor;
//! use rondo::memory::MemorySize;
//! use rondo::vm::{CpuCount, VmBuilder, VmConfig, VmError, VmOutcome};
//! use rondo_devices::bus::BusDevice;
//! use rondo_devices::interrupt::InterruptLine;
//! use vmm_sys_util::eventfd::EventFd;
//!
//! fn run(
//!     make_device: impl FnOnce(rondo::memory::GuestMemory, Arc<dyn InterruptLine>) -> Arc<dyn BusDevice>,
//!     doorbells: &[EventFd],
//! ) -> Result<VmOutcome, VmError> {
//!     let mut config = VmConfig::new("web", KernelSource::File("/boot/vmlinuz".into()));
//!     config.cpus = CpuCount::new(2)?;
//!     config.memory = MemorySize::from_mib(1024)?;
//!     config.command_line = "console=ttyS0".into();
//!
//!     let mut builder = VmBuilder::new(&Hypervisor::open()?, config)?;
//!     builder.add_serial(Box::new(std::io::stdout()))?;
//!     let window = builder.reserve_virtio_mmio()?;
//!     let device = make_device(builder.memory().clone(), window.line.clone());
//!     builder.add_virtio_mmio(&window, device, doorbells)?;
//!     Ok(builder.build()?.start()?.wait())
//! }
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
