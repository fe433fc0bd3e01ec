// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The software GPU: a display miniport whose engines are threads of this process.
//!
//! Each VM has one worker thread. It sleeps until the scheduler grants an engine to its VM, runs the VM's commands in
//! bounded units, and reports each. Driver calls change the VM's state under its lock and return; only those that take
//! memory away wait, for one running unit at most.

mod account;
mod allocation;
mod arbiter;
mod config;
mod context;
mod context_log;
mod crew;
mod directory;
mod display;
mod driver;
mod edid;
mod engine_cores;
#[cfg(test)]
mod engine_cores_tests;
mod handle_space;
mod host;
mod identity;
mod objects;
mod process;
mod profile;
mod scheduling;
mod signals;
mod stint;
mod timer;
mod turns;
mod unit_lock;
mod vm;
#[cfg(test)]
mod waking_tests;
mod work;
mod worker;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rondo_scheduler::EngineId;
use rondo_scheduler::inside::BandSettings;

pub use config::{
    AbortUnit, Placement, RendererFactory, SoftwareGpuConfig, SoftwareRenderers, WorkerHook,
};
pub use profile::DEFAULT_PROFILE;
pub use work::MAX_PENDING_COMMANDS;

use crate::ddi::{DdiResult, SetVirtualMachineData};
use crate::gpu::arbiter::Arbiter;
use crate::gpu::crew::Crew;
use crate::gpu::directory::Directory;
use crate::gpu::engine_cores::EngineCores;
use crate::gpu::handle_space::Owner;
use crate::gpu::identity::Identity;
use crate::gpu::vm::{Phase, Vm};
use crate::handle::KmdProcessHandle;
use crate::status::NtStatus;

/// See the module. Register it with [`crate::adapter::Adapter::start`].
///
/// Dropping it destroys its VMs and joins its threads.
#[derive(Debug)]
pub struct SoftwareGpu {
    config: SoftwareGpuConfig,
    directory: Arc<Directory>,
    arbiter: Arc<Arbiter>,
    crew: Arc<Crew>,
    timer: Mutex<Option<JoinHandle<()>>>,
    /// The priority bands, once they are set up, as they must be before the first process. Taken before all other locks.
    bands: Mutex<Option<BandSettings>>,
}

impl SoftwareGpu {
    /// A GPU without VMs. It starts one thread, for the scheduler's timer.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] for what the scheduler refuses to be made for, [`NtStatus::NoMemory`] if
    /// the host gives no thread.
    pub fn new(config: SoftwareGpuConfig) -> DdiResult<Self> {
        let clock = Arc::clone(&config.clock);
        let mut arbiter = Arbiter::new(config.scheduler, clock, config.journal.clone())
            .inspect_err(|error| log::error!("{error}"))
            .map_err(|error| arbiter::refusal(&error))?;
        arbiter.keep_on(EngineCores::new(config.scheduler.engines));
        let arbiter = Arc::new(arbiter);
        let directory = Arc::new(Directory::new());
        let crew = Crew::new(&config, Arc::clone(&arbiter), Arc::clone(&directory));
        let crew = Arc::new(crew);
        let (alarm, theirs) = (Arc::clone(&arbiter), Arc::clone(&crew));
        let hook = config.worker_hook.clone();
        let timer = thread::Builder::new()
            .name("gpu-timer".to_owned())
            .spawn(move || {
                // A slot that begins late is lost to its VM: the timer must not wait for a processor any more than workers do.
                if let Some(hook) = hook {
                    hook.on_start();
                }
                alarm.run_timer(|chore| theirs.attend(chore));
            })
            .map_err(|error| no_thread(&error))?;
        Ok(Self {
            config,
            directory,
            arbiter,
            crew,
            timer: Mutex::new(Some(timer)),
            bands: Mutex::new(None),
        })
    }

    fn bands(&self) -> MutexGuard<'_, Option<BandSettings>> {
        self.bands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An engine by its number.
    fn engine(&self, node: u16) -> DdiResult<EngineId> {
        if node >= self.config.scheduler.engines {
            return Err(NtStatus::InvalidParameter);
        }
        Ok(EngineId(node))
    }

    /// A new VM and its worker thread.
    fn create_worker(&self) -> DdiResult<KmdProcessHandle> {
        let bands = self.bands();
        let settings = bands.ok_or(NtStatus::InvalidDeviceState)?;
        let owner = self.directory.new_owner()?;
        let (vm, handle) = Vm::new(owner, DEFAULT_PROFILE.memory_limit, settings)?;
        let vm = Arc::new(vm);
        let seat = Arc::clone(&vm.signals);
        self.arbiter
            .join(vm.id, profile::for_scheduler(&DEFAULT_PROFILE), seat)?;
        let hired = self.crew.hire(&vm, 0).map_err(|error| {
            self.arbiter.leave(vm.id);
            no_thread(&error)
        })?;
        *vm.post() = Some(hired);
        self.directory.insert(owner, vm);
        Ok(handle)
    }

    /// Ends a VM: its thread first, then all that it has, then its name. Waits for the unit that runs, at most until it
    /// counts as hung.
    fn destroy_vm(&self, vm: &Vm) -> DdiResult<()> {
        let own = thread::current().id();
        if vm.post().as_ref().map(|post| post.thread.thread().id()) == Some(own) {
            // It cannot wait for itself.
            return Err(NtStatus::InvalidDeviceState);
        }
        let mut state = vm.live()?;
        state.phase = Phase::Destroyed;
        let worker = state.objects.worker;
        drop(state);
        vm.signals.exit();
        // A unit that hangs ends here once it has outlived its timeout: its thread is joined by nobody.
        drop(vm.units.enter());
        let post = vm.post().take();
        if post.is_some_and(|post| post.thread.join().is_err()) {
            log::error!("the worker thread of VM {} panicked", vm.id.0);
        }
        self.arbiter.leave(vm.id);
        // A unit that is lost may still want to draw.
        let draws = vm.stuck.load(Ordering::SeqCst) > 0;
        vm.state().clear(draws);
        self.directory.remove(Owner::of(worker.0));
        Ok(())
    }

    /// Gives a VM its identity.
    fn identify(&self, args: &SetVirtualMachineData) -> DdiResult<()> {
        let asked = Identity::parse(args)?;
        let vm = self.directory.vm(args.worker.0)?;
        let mut guids = self.directory.guids();
        let mut state = vm.live()?;
        state.objects.check_worker(args.worker)?;
        if asked.is_secure() && !self.config.isolation {
            return Err(NtStatus::NotSupported);
        }
        if let Some(identity) = state.identity {
            identity.may_become(&asked, !state.objects.processes.is_empty())?;
        } else {
            let owner = Owner::of(args.worker.0);
            if guids.contains_key(&asked.guid()) {
                return Err(NtStatus::ObjectNameCollision);
            }
            guids.insert(asked.guid(), owner);
        }
        state.identity = Some(asked);
        Ok(())
    }
}

impl Drop for SoftwareGpu {
    fn drop(&mut self) {
        for vm in self.directory.all() {
            if let Err(status) = self.destroy_vm(&vm) {
                log::error!("VM {} could not be destroyed: {status}", vm.id.0);
            }
        }
        self.arbiter.stop_timer();
        let timer = self.timer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(timer) = timer.take()
            && timer.join().is_err()
        {
            log::error!("the timer thread panicked");
        }
    }
}

fn no_thread(error: &std::io::Error) -> NtStatus {
    log::error!("the host gives no thread: {error}");
    NtStatus::NoMemory
}
