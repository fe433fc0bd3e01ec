// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One virtual processor: what it looks like to the guest, the state it starts in, and the thread that runs it.

mod cpuid;
mod entry;
mod kick;
mod run;
mod run_page;

pub(crate) use cpuid::guest_cpuid;
pub(crate) use entry::{EntryState, configure, enter};
pub(crate) use kick::Kicker;
pub(crate) use run::{Buses, VcpuThread};
