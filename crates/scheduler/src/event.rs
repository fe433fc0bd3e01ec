// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduler is told, and what it asks for.

use crate::{EngineId, Nanos, Policy, VmId, VmProfile};

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
    /// VMs share the engines in another way from now on. The unit that runs ends as it would have; the next decision is the
    /// new policy's. No VM's work is lost, and what each owes it goes on owing.
    SetPolicy {
        /// The policy from now on.
        policy: Policy,
    },
    /// A VM that was quarantined may run again; its count of resets starts anew. Changes nothing for others.
    Pardon {
        /// The VM.
        vm: VmId,
    },
    /// How long the VM's units can be from now on, if the caller knows: `c` of the bound `c/share + L` is as exact as
    /// this is. It stays until it is replaced, never exceeds a declared `max_unit`, and holds for the units that start
    /// after it: tell it before the `Ready` or the `UnitDone` after which such a unit may start.
    UnitBound {
        /// The VM.
        vm: VmId,
        /// The longest unit to come; `None`: back to what was declared or learned.
        at_most: Option<Nanos>,
    },
    /// A VM has work where it had none. Said of a VM that has work already, it changes nothing; said of a VM that is
    /// running, it overrules a later `more: false` of the unit that runs (no wake-up is lost).
    Ready {
        /// The VM.
        vm: VmId,
    },
    /// A unit ended on an engine that was granted. A VM that was granted the engine and found nothing to run reports a
    /// unit of length zero. No action for that engine in answer: the VM still holds it.
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
    /// Said too soon, it is answered by the request again, so no wake-up is lost.
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
    /// That report is always answered by `Revoke`. Said at most once per grant.
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
    /// The unit that runs has outlived its VM's hang timeout: its context is lost, and only that. The caller kills the
    /// context, brings the engine back, and only then reports the unit, with all the time since it began: the stall is
    /// paid by the VM. That report is always answered by `Revoke`. Said at most once per unit.
    ResetEngine {
        /// The engine that hangs.
        engine: EngineId,
        /// The VM whose unit hangs.
        vm: VmId,
    },
    /// The VM has hung too often: it runs nothing until [`Event::Pardon`]. What waits of its work can be failed.
    Quarantine {
        /// The VM.
        vm: VmId,
    },
    /// Call again with [`Event::Timer`] at this instant; replaces an earlier request.
    WakeAt {
        /// The instant.
        at: Nanos,
    },
}
