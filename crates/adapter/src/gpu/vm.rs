// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM: its state behind one lock, the lock that keeps its units and teardown apart, and what its worker sleeps on.
//!
//! Order of locks: the worker's post, the unit lock, the state. The scheduler's lock is never taken under the last
//! one, and no callback is made under any.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rondo_renderer::screen::Screen;
use rondo_renderer::work::Work;
use rondo_scheduler::inside::{self, BandSettings};
use rondo_scheduler::{Nanos, VmId};

use crate::ddi::{
    AdapterCallbacks, ChildStatus, Completion, CreateProcess, Damage, DdiResult, VmMemory,
};
use crate::gpu::account::{MemoryAccount, OBJECT_BYTES, PENDING_COMMAND_BYTES};
use crate::gpu::config::AbortUnit;
use crate::gpu::context_log::ContextLog;
use crate::gpu::handle_space::{HandleSpace, Owner};
use crate::gpu::identity::Identity;
use crate::gpu::objects::{Allocation, Context, Device, Objects, Process};
use crate::gpu::signals::Signals;
use crate::gpu::unit_lock::UnitLock;
use crate::gpu::work::{self, Job, Queue, WorkQueues};
use crate::handle::{AllocationHandle, ContextHandle, HwQueueHandle, KmdProcessHandle};
use crate::status::NtStatus;

/// See the module.
#[derive(Debug)]
pub(super) struct Vm {
    /// The VM's name for the scheduler.
    pub(super) id: VmId,
    /// What the worker thread sleeps on.
    pub(super) signals: Arc<Signals>,
    /// Keeps units and teardown apart.
    pub(super) units: UnitLock,
    /// Worker threads that were lost in a unit and have not come back.
    pub(super) stuck: AtomicUsize,
    post: Mutex<Option<Post>>,
    state: Mutex<VmState>,
}

/// The one who works for a VM.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) thread: JoinHandle<()>,
    /// How to end its unit.
    pub(super) abort: Option<Arc<dyn AbortUnit>>,
}

/// The unit that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) queue: HwQueueHandle,
    /// What is charged for it begins here.
    pub(super) began: Nanos,
    /// How many units the VM had reported before.
    pub(super) report: u64,
    /// The worker's place in the unit lock.
    pub(super) ticket: u64,
}

// What is charged for an object or a command is not less than what its entries take; tables keep up to as much again free.
const _: () = {
    let object = OBJECT_BYTES;
    assert!(2 * size_of::<Allocation>() as u64 + CreateProcess::MAX_NAME as u64 <= object);
    let context = size_of::<Context>() + size_of::<work::Context>() + inside::CONTEXT_BYTES;
    assert!(2 * context as u64 + 2 * size_of::<HwQueueHandle>() as u64 <= object);
    assert!(2 * size_of::<Device>() as u64 <= object);
    // Contexts of VM processes are IDLE or NORMAL.
    let process = size_of::<Process>() + inside::PROCESS_BYTES + 2 * inside::SHARE_BYTES;
    assert!(2 * process as u64 + CreateProcess::MAX_NAME as u64 <= object);
    assert!(2 * size_of::<Queue<Work>>() as u64 <= object);
    assert!(2 * size_of::<Job>() as u64 <= PENDING_COMMAND_BYTES);
};

/// How far a VM's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Live,
    /// Its worker thread has died of a bug, or too many are lost in units: no work is accepted any more, all else goes on.
    Failed,
    /// It is being destroyed, or is gone.
    Destroyed,
}

/// A monitor of the VM, and what is charged for its scanout.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) screen: Arc<Screen>,
    pub(super) status: ChildStatus,
    /// Bytes charged for what its sink keeps while it is off.
    pub(super) kept: u64,
    /// The allocation whose pixels the pointer has.
    pub(super) pointer: Option<AllocationHandle>,
}

/// What the host gave the VM.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) memory: VmMemory,
    pub(super) sources: Vec<Source>,
    /// The sources' screens, as work wants them.
    pub(super) screens: Arc<[Arc<Screen>]>,
}

/// What has happened on the VM's queues.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) commands: u64,
    pub(super) frames: u64,
    pub(super) first_frame: Option<Nanos>,
}

/// What the worker thread has to tell, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) completions: Vec<Completion>,
    pub(super) suspensions: Vec<(ContextHandle, u64)>,
    pub(super) lost: Vec<(ContextHandle, Damage)>,
}

impl Outbox {
    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.completions.is_empty() && self.suspensions.is_empty() && self.lost.is_empty()
    }

    /// Forgets all, keeps the room.
    pub(super) fn clear(&mut self) {
        self.completions.clear();
        self.suspensions.clear();
        self.lost.clear();
    }
}

/// All that is known of a VM.
#[derive(Debug)]
pub(super) struct VmState {
    pub(super) phase: Phase,
    pub(super) identity: Option<Identity>,
    pub(super) handles: HandleSpace,
    pub(super) objects: Objects,
    pub(super) account: MemoryAccount,
    pub(super) work: WorkQueues<Work>,
    pub(super) connection: Option<Connection>,
    pub(super) callbacks: Option<Arc<dyn AdapterCallbacks>>,
    pub(super) outbox: Outbox,
    pub(super) progress: Progress,
    /// Where the states of the contexts are logged, if somebody wants to know.
    pub(super) log: Option<ContextLog>,
    /// What the worker is in.
    pub(super) running: Option<Running>,
    /// The report that a reset was meant for which found no unit: with it no unit begins any more, since nobody would watch it.
    pub(super) overdue: Option<u64>,
    /// Which worker serves the VM. One with another number was lost in a unit: nothing that it brings counts.
    pub(super) worker: u64,
}

impl Vm {
    /// A VM of which only the worker is known.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] if the handles are spent.
    pub(super) fn new(
        owner: Owner,
        memory_limit: u64,
        bands: BandSettings,
    ) -> DdiResult<(Self, KmdProcessHandle)> {
        let mut handles = HandleSpace::new(owner);
        let worker = KmdProcessHandle(handles.take()?);
        let state = VmState {
            phase: Phase::Live,
            identity: None,
            handles,
            objects: Objects::new(worker),
            account: MemoryAccount::new(memory_limit),
            work: WorkQueues::new(bands),
            connection: None,
            callbacks: None,
            outbox: Outbox::default(),
            progress: Progress::default(),
            log: None,
            running: None,
            overdue: None,
            worker: 0,
        };
        let vm = Self {
            id: VmId(owner.number()),
            signals: Arc::new(Signals::default()),
            units: UnitLock::default(),
            stuck: AtomicUsize::new(0),
            post: Mutex::new(None),
            state: Mutex::new(state),
        };
        Ok((vm, worker))
    }

    /// Who works for the VM.
    pub(super) fn post(&self) -> MutexGuard<'_, Option<Post>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The VM's state, whatever its phase.
    pub(super) fn state(&self) -> MutexGuard<'_, VmState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The VM's state, for a driver call.
    ///
    /// # Errors
    /// [`NtStatus::DeletePending`] if its worker is being destroyed.
    pub(super) fn live(&self) -> DdiResult<MutexGuard<'_, VmState>> {
        let state = self.state();
        if state.phase == Phase::Destroyed {
            return Err(NtStatus::DeletePending);
        }
        Ok(state)
    }

    /// Lets go of the state after a change of its work. Tells whether the scheduler must hear that there is some now.
    #[must_use]
    pub(super) fn publish(&self, state: MutexGuard<'_, VmState>) -> bool {
        let runnable = state.work.has_runnable();
        let before = self.signals.set_runnable(runnable);
        drop(state);
        runnable && !before
    }
}

impl VmState {
    /// The VM's GPU work is over: what waits ends with this error, and no more is accepted.
    pub(super) fn fail(&mut self, status: NtStatus) {
        if self.phase == Phase::Live {
            self.phase = Phase::Failed;
        }
        self.running = None;
        self.fail_all(status);
    }

    /// What the host gave the VM.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] before it did.
    pub(super) fn connection(&self) -> DdiResult<&Connection> {
        self.connection.as_ref().ok_or(NtStatus::InvalidDeviceState)
    }

    /// Ends the VM's life on the host: nothing of it refers to guest memory or to a sink any more. Screens that something
    /// might still be drawn on are switched off.
    pub(super) fn clear(&mut self, switch_off: bool) {
        if let Some(connection) = self.connection.as_ref().filter(|_| switch_off) {
            for source in &connection.sources {
                source.screen.set_mode(None);
            }
        }
        self.identity = None;
        self.objects = Objects::new(self.objects.worker);
        self.work = WorkQueues::new(BandSettings::default());
        self.connection = None;
        self.callbacks = None;
        self.outbox = Outbox::default();
        self.log = None;
    }
}
