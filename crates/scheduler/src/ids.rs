// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Names of the things that are scheduled, chosen by the caller.

/// One virtual machine, unique for as long as it is known to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(pub u32);

/// One engine (a WDDM node): it runs one unit of work at a time. Numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId(pub u16);
