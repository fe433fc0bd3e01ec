// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The host partition of an engine: its client VMs, which together are one entity beside the server VMs.
//!
//! In client virtualization a VM is one more client process of the host (`DXGKDDI_SETVIRTUALMACHINEDATA`). So each client
//! VM is one process with one context in a scheduler of WDDM's bands, however many processes its guest has: forking in the
//! guest buys nothing. What the partition gets as a whole is the discipline's business; who of the clients gets it, this one's.

use crate::heap::Heap;
use crate::inside::{
    BandSettings, ContextId, ContextProperties, ContextScheduler, InsideError, ProcessId,
};
use crate::table::Slot;
use crate::{Nanos, VmId};

/// The name of the partition where VMs have names. The last one: a VM may have it too, which only costs it the other's debt.
pub(crate) const HOST: VmId = VmId(u32::MAX);

/// The client VMs of one engine. They are named by their slots among all VMs.
#[derive(Debug)]
pub(crate) struct HostPartition {
    /// The partition's seat.
    pub(crate) seat: Slot,
    inside: ContextScheduler,
    /// Client VMs that have work and no engine, in the order in which they came to wait.
    waiting: Heap,
    members: u32,
}

impl HostPartition {
    pub(crate) fn new(seat: Slot) -> Self {
        Self {
            seat,
            inside: ContextScheduler::new(BandSettings::default()),
            waiting: Heap::default(),
            members: 0,
        }
    }

    /// How many client VMs are at home here.
    pub(crate) const fn members(&self) -> u32 {
        self.members
    }

    /// A client VM comes, without work; `slots` is one more than the highest slot of any VM.
    ///
    /// # Errors
    /// [`InsideError::Full`].
    pub(crate) fn join(&mut self, vm: Slot, slots: usize) -> Result<(), InsideError> {
        let name = u64::from(vm.0);
        self.inside.add_process(ProcessId(name))?;
        self.inside.add_context(
            ProcessId(name),
            ContextId(name),
            ContextProperties::default(),
        )?;
        self.waiting.reserve(slots);
        self.members = self.members.saturating_add(1);
        Ok(())
    }

    /// A client VM goes.
    pub(crate) fn leave(&mut self, vm: Slot) {
        let name = u64::from(vm.0);
        self.waiting.remove(vm);
        let gone = self
            .inside
            .remove_context(ContextId(name))
            .and_then(|()| self.inside.remove_process(ProcessId(name)));
        debug_assert!(gone.is_ok(), "{gone:?}");
        self.members = self.members.saturating_sub(1);
    }

    /// A client VM has work and waits.
    pub(crate) fn ready(&mut self, vm: Slot, turn: u64) {
        let known = self.inside.ready(ContextId(u64::from(vm.0)));
        debug_assert!(known.is_ok(), "{known:?}");
        if !self.waiting.contains(vm) {
            self.waiting.insert(0, turn, vm);
        }
    }

    /// A client VM has no work, or may not run for now.
    pub(crate) fn idle(&mut self, vm: Slot) {
        let known = self.inside.idle(ContextId(u64::from(vm.0)));
        debug_assert!(known.is_ok(), "{known:?}");
        self.waiting.remove(vm);
    }

    /// Whether any client VM here has work.
    pub(crate) const fn has_work(&self) -> bool {
        self.inside.has_ready()
    }

    /// A client VM that waits while another one runs, or nobody of them: whoever has waited longest.
    pub(crate) fn first_waiting(&self) -> Option<Slot> {
        self.waiting.first().map(|(_, vm)| vm)
    }

    /// Who would be next.
    pub(crate) fn next(&self) -> Option<Slot> {
        named(self.inside.next())
    }

    /// A unit of the client VM whose turn it is begins.
    pub(crate) fn unit_begins(&mut self) -> Option<Slot> {
        let vm = named(self.inside.unit_begins())?;
        self.waiting.remove(vm);
        Some(vm)
    }

    /// It has ended.
    pub(crate) fn unit_done(&mut self, ran: Nanos) {
        self.inside.unit_done(ran);
    }
}

fn named(context: Option<ContextId>) -> Option<Slot> {
    u32::try_from(context?.0).ok().map(Slot)
}
