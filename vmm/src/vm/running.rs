// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM whose vCPUs run, and the one place where its end is decided.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rondo_devices::legacy::{ExitRequest, GuestExit};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::kvm::Machine;
use crate::memory::GuestMemory;
use crate::vcpu::Kicker;
use crate::vm::VmOutcome;

/// Where the first cause of a VM's end is kept, and from where everybody else learns of it.
#[derive(Debug)]
pub struct Ending {
    outcome: Mutex<Option<VmOutcome>>,
    decided: Condvar,
    event: EventFd,
    kickers: OnceLock<Vec<Arc<Kicker>>>,
}

impl Ending {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            outcome: Mutex::default(),
            decided: Condvar::new(),
            event: EventFd::new(EFD_NONBLOCK)?,
            kickers: OnceLock::new(),
        })
    }

    /// Decides the outcome, if it is still open, and makes every vCPU leave the guest.
    pub(crate) fn decide(&self, outcome: VmOutcome) {
        {
            let mut slot = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.is_some() {
                return;
            }
            *slot = Some(outcome);
        }
        self.decided.notify_all();
        if let Err(error) = self.event.write(1) {
            log::error!("the end of a VM could not be signalled: {error}");
        }
        for kicker in self.kickers.get().into_iter().flatten() {
            kicker.kick();
        }
    }

    /// The outcome, once there is one.
    pub(crate) fn outcome(&self) -> Option<VmOutcome> {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether there is an outcome.
    pub(crate) fn is_decided(&self) -> bool {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Names the vCPUs to stop, before the first of them runs.
    pub(crate) fn set_kickers(&self, kickers: Vec<Arc<Kicker>>) {
        let set = self.kickers.set(kickers);
        debug_assert!(set.is_ok(), "a VM is started once");
    }

    fn wait(&self) -> VmOutcome {
        let mut slot = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*slot {
                Some(outcome) => return outcome.clone(),
                None => {
                    slot = self
                        .decided
                        .wait(slot)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }
}

impl GuestExit for Ending {
    fn request_exit(&self, request: ExitRequest) {
        self.decide(match request {
            ExitRequest::PowerOff => VmOutcome::PoweredOff,
            ExitRequest::Reset => VmOutcome::Reset,
        });
    }
}

/// A handle with which any thread can stop a VM and learn its outcome. Clones refer to the same VM and may outlive it.
#[derive(Clone, Debug)]
pub struct VmHandle {
    ending: Arc<Ending>,
}

impl VmHandle {
    pub(super) fn new(ending: Arc<Ending>) -> Self {
        Self { ending }
    }

    /// Makes every vCPU leave the guest within milliseconds; the outcome is [`VmOutcome::Stopped`] unless the VM had ended
    /// already. Returns at once. A vCPU thread inside a device finishes that access first.
    pub fn stop(&self) {
        self.ending.decide(VmOutcome::Stopped);
    }

    /// The outcome, once there is one.
    #[must_use]
    pub fn outcome(&self) -> Option<VmOutcome> {
        self.ending.outcome()
    }

    /// Readable from the moment on that the outcome is decided, for event loops; it is not meant to be read empty, for all
    /// clones share it. Non-blocking.
    #[must_use]
    pub fn outcome_event(&self) -> &EventFd {
        &self.ending.event
    }

    /// Waits for the outcome. The vCPU threads may still be on their last few instructions.
    #[must_use]
    pub fn wait_outcome(&self) -> VmOutcome {
        self.ending.wait()
    }
}

/// A VM whose vCPU threads were started. Dropping it stops and joins them.
#[derive(Debug)]
pub struct RunningVm {
    handle: VmHandle,
    threads: Vec<JoinHandle<()>>,
    /// Kept open until the threads are gone.
    machine: Machine,
}

impl RunningVm {
    pub(super) fn new(ending: Arc<Ending>, machine: Machine) -> Self {
        Self {
            handle: VmHandle::new(ending),
            threads: Vec::new(),
            machine,
        }
    }

    pub(super) fn add_thread(&mut self, thread: JoinHandle<()>) {
        self.threads.push(thread);
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> VmHandle {
        self.handle.clone()
    }

    /// See [`VmHandle::stop`].
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// See [`VmHandle::outcome`].
    #[must_use]
    pub fn outcome(&self) -> Option<VmOutcome> {
        self.handle.outcome()
    }

    /// See [`VmHandle::outcome_event`].
    #[must_use]
    pub fn outcome_event(&self) -> &EventFd {
        self.handle.outcome_event()
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> &GuestMemory {
        self.machine.memory()
    }

    /// Waits until the VM has ended and all its threads are gone. To be called before the devices are dropped or read for
    /// their final state: afterwards no vCPU touches them.
    #[must_use]
    pub fn wait(mut self) -> VmOutcome {
        let outcome = self.handle.wait_outcome();
        self.join();
        outcome
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a vCPU thread failed");
            }
        }
    }
}

impl Drop for RunningVm {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}
