// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The WDDM-shaped adapter: processes, `SetVirtualMachineData`, contexts, hardware queues, allocations and fences over
//! a GPU whose time the scheduler shares out.
//!
//! [`ddi::Ddi`] is the driver interface, with WDDM's verbs and meaning. Its arguments and results are plain data and
//! handles, never references into the caller, so that a proxy can stand for a driver in another process.

pub mod adapter;
pub mod clock;
pub mod ddi;
pub mod gpu;
pub mod guid;
pub mod handle;
pub mod recorder;
pub mod status;
pub mod thread_priority;
