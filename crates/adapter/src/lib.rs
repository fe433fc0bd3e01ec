// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The WDDM-shaped adapter: processes, `SetVirtualMachineData`, contexts, hardware queues, allocations and fences over
//! a GPU whose time the scheduler shares out.
//!
//! [`ddi::Ddi`] is the driver interface, with WDDM's verbs and meaning. Its arguments and results are plain data and
//! handles, never references into the caller, so that a proxy can stand for a driver in another process.
//!
//! [`gpu::SoftwareGpu`] is a driver whose engines are threads of this process; [`recorder::Recorder`] wraps any driver for
//! the tests of its callers. [`adapter::Adapter`] registers a driver, and stands for it until it is stopped.
//!
//! ```
//! use std::sync::Arc;
//! use rondo_adapter::adapter::Adapter;
//! use rondo_adapter::ddi::{
//!     CreateProcess, CreateProcessFlags, Ddi, Guid, PriorityBands, SetVirtualMachineData, VirtualMachineDataFlags,
//! };
//! use rondo_adapter::gpu::{SoftwareGpu, SoftwareGpuConfig};
//!
//! # fn main() -> Result<(), rondo_adapter::status::NtStatus> {
//! let gpu = SoftwareGpu::new(SoftwareGpuConfig::default())?;
//! let adapter = Adapter::start(Arc::new(gpu), &PriorityBands::default())?;
//! let worker = adapter.create_process(&CreateProcess {
//!     flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
//!     ..CreateProcess::default()
//! })?;
//! adapter.set_virtual_machine_data(&SetVirtualMachineData {
//!     worker,
//!     vm_guid: "5f2b3c1e-7d44-4c1f-9a3e-0d8e6a1b2c3d".parse::<Guid>().unwrap(),
//!     flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
//! })?;
//! adapter.destroy_process(worker)?;
//! # Ok(())
//! # }
//! ```

pub mod adapter;
pub mod clock;
pub mod ddi;
pub mod gpu;
pub mod guid;
pub mod handle;
mod host_thread;
pub mod journal;
pub mod recorder;
pub mod scheduling_log;
pub mod status;
mod sync;
pub mod thread_priority;
