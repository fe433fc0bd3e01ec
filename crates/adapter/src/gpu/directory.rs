// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The adapter's VMs and host processes, and which VM has which GUID.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rondo_scheduler::VmId;

use crate::ddi::{DdiResult, Guid};
use crate::gpu::handle_space::{HandleSpace, Owner};
use crate::gpu::vm::Vm;
use crate::handle::KmdProcessHandle;
use crate::status::NtStatus;

#[derive(Debug)]
struct Host {
    handles: HandleSpace,
    processes: HashSet<KmdProcessHandle>,
}

/// Whose GUID it is, by VM.
pub(super) type GuidOwners = HashMap<Guid, Owner>;

/// See the module.
#[derive(Debug)]
pub(super) struct Directory {
    /// Written when a VM comes or goes only.
    vms: RwLock<HashMap<Owner, Arc<Vm>>>,
    last_owner: Mutex<Owner>,
    host: Mutex<Host>,
    guids: Mutex<GuidOwners>,
}

impl Directory {
    /// No VM, no process.
    pub(super) fn new() -> Self {
        Self {
            vms: RwLock::new(HashMap::new()),
            last_owner: Mutex::new(Owner::HOST),
            host: Mutex::new(Host {
                handles: HandleSpace::new(Owner::HOST),
                processes: HashSet::new(),
            }),
            guids: Mutex::new(HashMap::new()),
        }
    }

    /// A number for a new VM.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] after a million VMs.
    pub(super) fn new_owner(&self) -> DdiResult<Owner> {
        let mut last = lock(&self.last_owner);
        *last = last.next()?;
        Ok(*last)
    }

    /// From now on the VM's handles lead to it.
    pub(super) fn insert(&self, owner: Owner, vm: Arc<Vm>) {
        let mut vms = self.vms.write().unwrap_or_else(PoisonError::into_inner);
        vms.insert(owner, vm);
    }

    /// From now on the VM's handles are unknown.
    pub(super) fn remove(&self, owner: Owner) {
        self.guids().retain(|_, &mut other| other != owner);
        let mut vms = self.vms.write().unwrap_or_else(PoisonError::into_inner);
        let removed = vms.remove(&owner);
        drop(vms);
        drop(removed);
    }

    /// All VMs.
    pub(super) fn all(&self) -> Vec<Arc<Vm>> {
        let vms = self.vms.read().unwrap_or_else(PoisonError::into_inner);
        vms.values().map(Arc::clone).collect()
    }

    /// The VM that the scheduler knows by this name.
    pub(super) fn vm_by_id(&self, vm: VmId) -> Option<Arc<Vm>> {
        let vms = self.vms.read().unwrap_or_else(PoisonError::into_inner);
        vms.values().find(|found| found.id == vm).map(Arc::clone)
    }

    /// The VM that a handle belongs to. Whether the object exists, its tables say.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`]; [`NtStatus::ObjectTypeMismatch`] for a host process, which is of no VM.
    pub(super) fn vm(&self, handle: u64) -> DdiResult<Arc<Vm>> {
        let owner = Owner::of(handle);
        let vms = self.vms.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(vm) = vms.get(&owner) {
            return Ok(Arc::clone(vm));
        }
        drop(vms);
        if self.is_host_process(KmdProcessHandle(handle)) {
            return Err(NtStatus::ObjectTypeMismatch);
        }
        Err(NtStatus::InvalidHandle)
    }

    /// A new process of the host.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] if the handles are spent.
    pub(super) fn add_host_process(&self) -> DdiResult<KmdProcessHandle> {
        let mut host = lock(&self.host);
        let process = KmdProcessHandle(host.handles.take()?);
        host.processes.insert(process);
        Ok(process)
    }

    /// Whether this is a process of the host.
    pub(super) fn is_host_process(&self, process: KmdProcessHandle) -> bool {
        lock(&self.host).processes.contains(&process)
    }

    /// Ends a process of the host. Returns whether it was one.
    pub(super) fn remove_host_process(&self, process: KmdProcessHandle) -> bool {
        lock(&self.host).processes.remove(&process)
    }

    /// The GUIDs in use. Taken before a VM's state, never after.
    pub(super) fn guids(&self) -> MutexGuard<'_, GuidOwners> {
        lock(&self.guids)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
