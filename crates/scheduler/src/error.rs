// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduler refuses, and by how much.

use crate::{EngineId, Ppm, VmId};

/// Why an event was refused. The scheduler is as it was before the event, but for the time that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    /// More or fewer engines were asked for than a scheduler can drive.
    #[error("a scheduler drives 1 to {most} engines, {asked} were asked for")]
    Engines {
        /// The number asked for.
        asked: u16,
        /// [`crate::SchedulerConfig::MAX_ENGINES`].
        most: u16,
    },
    /// What is kept back and the host's guarantee are more than an engine.
    #[error("{} ppm kept back and {} ppm for client VMs are more than an engine", .reserve.get(), .host.get())]
    NothingToPromise {
        /// [`crate::SchedulerConfig::reserve`].
        reserve: Ppm,
        /// [`crate::SchedulerConfig::host_guarantee`].
        host: Ppm,
    },
    /// A client VM asks for a guarantee, which only the host partition as a whole has.
    #[error("VM {} is a client VM and cannot have a guarantee of its own: {} ppm asked for", .vm.0, .asked.get())]
    ClientWithGuarantee {
        /// The VM.
        vm: VmId,
        /// What it asked for.
        asked: Ppm,
    },
    /// The guarantees would add up to more than an engine, on each of the engines.
    #[error(
        "a guarantee of {} ppm for VM {} does not fit: {} ppm are free, {} ppm too many",
        .asked.get(), .vm.0, .free.get(), .excess.get()
    )]
    GuaranteeDoesNotFit {
        /// The VM that asked.
        vm: VmId,
        /// What it asked for.
        asked: Ppm,
        /// What nobody holds of the engine that has most left (for a change of profile, its own part counts as free).
        free: Ppm,
        /// How much less would have fitted.
        excess: Ppm,
    },
    /// A limit that is below the guarantee, or zero, contradicts it.
    #[error("VM {}: a limit of {} ppm must not be zero nor below the guarantee of {} ppm", .vm.0, .limit.get(), .guarantee.get())]
    LimitBelowGuarantee {
        /// The VM.
        vm: VmId,
        /// Its limit.
        limit: Ppm,
        /// Its guarantee.
        guarantee: Ppm,
    },
    /// No such VM, or it is leaving.
    #[error("VM {} is not known here", .vm.0)]
    UnknownVm {
        /// The VM.
        vm: VmId,
    },
    /// The VM is here already (a VM that leaves is here until its last unit is reported).
    #[error("VM {} is here already", .vm.0)]
    DuplicateVm {
        /// The VM.
        vm: VmId,
    },
    /// No such engine.
    #[error("engine {} does not exist: there are {engines}", .engine.0)]
    UnknownEngine {
        /// The engine that was named.
        engine: EngineId,
        /// How many there are, numbered from 0.
        engines: u16,
    },
    /// A report about an engine by a VM that does not hold it.
    #[error("VM {} reports a unit on engine {}, which it does not hold (holder: {})", .vm.0, .engine.0, name(*.holder))]
    NotTheHolder {
        /// The engine.
        engine: EngineId,
        /// Who reported.
        vm: VmId,
        /// Who holds it.
        holder: Option<VmId>,
    },
}

fn name(holder: Option<VmId>) -> String {
    holder.map_or_else(|| "nobody".to_owned(), |vm| format!("VM {}", vm.0))
}
