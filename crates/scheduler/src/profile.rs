// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM was promised.

use crate::{Nanos, Ppm};

/// How a VM's work is seen by the host's scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// *Server* GPU virtualization: the VM is guaranteed its own slice, and schedules inside it.
    #[default]
    Server,
    /// *Client* GPU virtualization: the VM is one more client process of the host, whose partition all client VMs share
    /// ([`crate::SchedulerConfig::host_guarantee`]); all its processes together are one entity in it. It has no guarantee of
    /// its own.
    Client,
}

/// Who comes first where nobody is owed anything. It moves nobody's guarantee by a nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Gets time that is lent only when nobody above wants it.
    Low,
    /// Gets its part of the time that is lent.
    #[default]
    Normal,
    /// Gets time that is lent before everybody below.
    High,
}

/// A VM's share of the GPU and the limits of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmProfile {
    /// Server or client virtualization.
    pub mode: Mode,
    /// The part of an engine that the VM gets whenever it has work.
    pub guarantee: Ppm,
    /// The part of an engine that it never exceeds, not less than the guarantee; `None`: unused time of others is lent to
    /// it. In every window of length `T` the VM runs at most `limit * T` and one stretch more, a stretch being the longer of
    /// its slice and its longest unit (under `fixed`, its slot and one unit). A VM with a limit is promised the limit before the guarantee's latency.
    pub limit: Option<Ppm>,
    /// How long it keeps the engine before another VM with an equal claim is preferred. Zero: decided after each unit.
    /// Under `best-effort`, the length of a turn; under `fixed`, where slots follow from guarantees, it does not count.
    pub slice: Nanos,
    /// The longest unit it will ever run, if it is known; otherwise the scheduler learns it, pessimistic at the start.
    pub max_unit: Option<Nanos>,
    /// How long it may go on, unit after unit within its slice, when a VM with a better claim has asked for the engine. It
    /// delays the others by as much: it counts as part of the longest unit in their bound. Zero: the unit that runs is its last.
    pub grace: Nanos,
    /// A unit that runs longer than this is hung: its context is lost ([`crate::Action::ResetEngine`]). It is also
    /// the length to expect of a first unit about which nothing is known.
    pub hang_timeout: Nanos,
    /// Who comes first where nobody is owed anything: under `guaranteed` when time is lent, under `best-effort` always.
    pub priority: Priority,
}

impl Default for VmProfile {
    fn default() -> Self {
        Self {
            mode: Mode::Server,
            guarantee: Ppm::default(),
            limit: None,
            slice: Nanos::from_millis(2),
            max_unit: None,
            grace: Nanos(0),
            hang_timeout: Nanos::from_millis(250),
            priority: Priority::Normal,
        }
    }
}
