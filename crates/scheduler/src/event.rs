// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduler is told, and what it asks for.

use crate::{EngineId, Nanos, VmId, VmProfile};

/// Something that happened, told with the instant at which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A VM joins, idle. Refused if its guarantee does not fit.
    AddVm {
        /// The new VM.
        vm: VmId,
        /// What it is promised.
        profile: VmProfile,
    },
    /// A VM leaves. If it holds an engine, the grant ends with its current unit.
    RemoveVm {
        /// The VM that leaves.
        vm: VmId,
    },
    /// A VM's profile changes; from the next decision on. Its debt stays.
    SetProfile {
        /// The VM.
        vm: VmId,
        /// What it is promised from now on.
        profile: VmProfile,
    },
    /// A VM has work where it had none.
    Ready {
        /// The VM.
        vm: VmId,
    },
    /// A unit ended on an engine that was granted.
    UnitDone {
        /// The engine.
        engine: EngineId,
        /// The VM whose unit it was.
        vm: VmId,
        /// The true length of the unit: this is what is charged.
        ran: Nanos,
        /// Whether the VM has more work ready.
        more: bool,
    },
    /// The instant asked for by the last [`Action::WakeAt`] has come.
    Timer,
}

/// Something the caller must do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The engine belongs to the VM: it may run unit after unit and report each, until a `Preempt` or `Revoke`.
    Grant {
        /// The engine.
        engine: EngineId,
        /// The VM that may run.
        vm: VmId,
    },
    /// Another VM has the better claim now: the VM must end its current unit at the next preemption point and report it.
    Preempt {
        /// The engine.
        engine: EngineId,
        /// The VM that holds it.
        vm: VmId,
    },
    /// The answer to `UnitDone`, if the VM must not run another unit on this engine: its slice ended, or it is idle.
    Revoke {
        /// The engine.
        engine: EngineId,
        /// The VM that held it.
        vm: VmId,
    },
    /// Call again with [`Event::Timer`] at this instant; replaces an earlier request.
    WakeAt {
        /// The instant.
        at: Nanos,
    },
}
