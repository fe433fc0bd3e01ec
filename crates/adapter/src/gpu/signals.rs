// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM's worker thread sleeps on: a few bits that others set, and the thread to wake.
//!
//! A bit is set before the thread is woken, and the thread looks at the bits again after every sleep, so that no wake-up
//! is lost and none is needed twice.

use rondo_scheduler::EngineId;

use crate::gpu::engine_cores::Berth;
use crate::sync::{AtomicBool, AtomicU32, Mutex, Ordering, PoisonError, Thread, park};

/// The engine is the VM's.
const GRANT: u32 = 1 << 16;
/// A suspension waits to be told.
const NOTICE: u32 = 1 << 17;
/// The VM goes.
const EXIT: u32 = 1 << 18;
/// The granted engine's number.
const ENGINE: u32 = 0xffff;

/// Why a worker was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// The engine is the VM's, until it is told otherwise.
    Granted(EngineId),
    /// There is something to tell, without an engine.
    Notice,
    /// Leave.
    Exit,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Signals {
    bits: AtomicU32,
    /// Whether the VM has work that may run; written under the VM's lock only.
    runnable: AtomicBool,
    /// Whether the VM is quarantined; written under the scheduler's lock only.
    quarantined: AtomicBool,
    /// Another one once a worker is lost in a unit. Taken for moments, by whoever wakes.
    worker: Mutex<Option<Thread>>,
    /// On which core the worker is.
    pub(super) berth: Berth,
}

impl Signals {
    /// Names the thread to wake. It looks at the bits before its first sleep, so what came before is not lost.
    pub(super) fn set_worker(&self, worker: Thread) {
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
    }

    /// Records a grant; the caller wakes the worker after it has let go of its locks.
    pub(super) fn grant(&self, engine: EngineId) {
        self.bits
            .fetch_or(GRANT | u32::from(engine.0), Ordering::SeqCst);
    }

    /// Asks the worker to deliver what it has to tell.
    pub(super) fn notice(&self) {
        self.bits.fetch_or(NOTICE, Ordering::SeqCst);
        self.wake();
    }

    /// Asks the worker to leave after its unit.
    pub(super) fn exit(&self) {
        self.bits.fetch_or(EXIT, Ordering::SeqCst);
        self.wake();
    }

    /// Whether a grant waits to be acted upon.
    pub(super) fn has_grant(&self) -> bool {
        self.bits.load(Ordering::SeqCst) & GRANT != 0
    }

    /// Wakes the worker, or lets its next sleep end at once.
    pub(super) fn wake(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = &*worker {
            worker.unpark();
        }
    }

    /// The worker's side: takes the most urgent reason to be awake, if there is one.
    pub(super) fn take(&self) -> Option<Wake> {
        let bits = self.bits.load(Ordering::SeqCst);
        if bits & EXIT != 0 {
            return Some(Wake::Exit);
        }
        if bits & NOTICE != 0 {
            self.bits.fetch_and(!NOTICE, Ordering::SeqCst);
            return Some(Wake::Notice);
        }
        if bits & GRANT != 0 {
            self.take_grant();
            // No cast can fail: the mask leaves 16 bits.
            return u16::try_from(bits & ENGINE)
                .ok()
                .map(|engine| Wake::Granted(EngineId(engine)));
        }
        None
    }

    /// Takes a grant that was not acted upon yet, if there is one.
    pub(super) fn take_grant(&self) -> Option<EngineId> {
        let bits = self.bits.fetch_and(!(GRANT | ENGINE), Ordering::SeqCst);
        if bits & GRANT == 0 {
            return None;
        }
        u16::try_from(bits & ENGINE).ok().map(EngineId)
    }

    /// The worker's side: sleeps until there is a reason to be awake.
    pub(super) fn wait(&self) -> Wake {
        loop {
            if let Some(wake) = self.take() {
                return wake;
            }
            park();
        }
    }

    /// Tells whether the VM has work that may run; returns what was told before. Under the VM's lock only.
    pub(super) fn set_runnable(&self, runnable: bool) -> bool {
        self.runnable.swap(runnable, Ordering::SeqCst)
    }

    /// Whether the VM has work that may run, and somebody to run it.
    pub(super) fn wants_engine(&self) -> bool {
        self.runnable.load(Ordering::SeqCst) && self.bits.load(Ordering::SeqCst) & EXIT == 0
    }

    /// Locks the VM out, or lets it in again. Under the scheduler's lock only.
    pub(super) fn set_quarantined(&self, quarantined: bool) {
        self.quarantined.store(quarantined, Ordering::SeqCst);
    }

    /// Whether the VM is locked out.
    pub(super) fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::SeqCst)
    }
}
