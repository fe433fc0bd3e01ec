// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who puts workers to work, and what happens when one is lost in a unit.
//!
//! A unit that hangs cannot be ended by force in general, so its thread is given up: the context dies, the engine is free at
//! once, another thread with another renderer serves the VM, and what the lost one brings if it ever comes back is
//! dropped. Until then it keeps what its unit refers to (an image, the mapping of guest memory, the VM's screens): memory stays
//! valid, but pixels may still be read and drawn. A renderer that can abort its units leaves nothing behind. Quarantine
//! makes lost threads few; [`MOST_STUCK`] bounds them whatever the settings are.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rondo_renderer::unit::UnitBudget;
use rondo_scheduler::{EngineId, Nanos, VmId};

use crate::ddi::Damage;
use crate::gpu::arbiter::Arbiter;
use crate::gpu::config::{Placement, RendererFactory, SoftwareGpuConfig, WorkerHook};
use crate::gpu::directory::Directory;
use crate::gpu::stint::Stint;
use crate::gpu::timer::Chore;
use crate::gpu::vm::{Post, Vm};
use crate::gpu::worker::{self, Worker};
use crate::status::NtStatus;

/// Most threads of one VM that may be lost in units at a time. With one more its GPU work is over.
pub(super) const MOST_STUCK: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Crew {
    arbiter: Arc<Arbiter>,
    directory: Arc<Directory>,
    renderer: Arc<dyn RendererFactory>,
    hook: Option<Arc<dyn WorkerHook>>,
    budget: UnitBudget,
    /// Engines that were reset and not resumed.
    stopped: Mutex<HashMap<EngineId, Stopped>>,
}

/// An engine whose unit is over and not yet reported.
#[derive(Debug)]
struct Stopped {
    vm: Arc<Vm>,
    began: Nanos,
}

impl Crew {
    /// Nobody works yet.
    pub(super) fn new(
        config: &SoftwareGpuConfig,
        arbiter: Arc<Arbiter>,
        directory: Arc<Directory>,
    ) -> Self {
        Self {
            arbiter,
            directory,
            renderer: Arc::clone(&config.renderer),
            hook: config.worker_hook.clone(),
            budget: config.unit_budget,
            stopped: Mutex::new(HashMap::new()),
        }
    }

    /// Puts a thread to work for a VM that has none. `reports`: how many units the VM has reported.
    ///
    /// # Errors
    /// The host gives no thread.
    pub(super) fn hire(&self, vm: &Arc<Vm>, reports: u64) -> io::Result<Post> {
        let (renderer, abort) = self.renderer.build_abortable();
        let worker = Worker {
            number: vm.state().worker,
            vm: Arc::clone(vm),
            arbiter: Arc::clone(&self.arbiter),
            renderer,
            budget: self.budget,
            reports,
            hook: self.hook.clone(),
            stint: Stint::default(),
        };
        let hook = self.hook.clone();
        let thread = thread::Builder::new()
            .name(format!("gpu-vm-{}", vm.id.0))
            .spawn(move || {
                let place = hook.map_or(Placement::Anywhere, |hook| hook.on_start());
                let signals = Arc::clone(&worker.vm.signals);
                let _berth = (place == Placement::EnginesCore).then(|| signals.berth.take());
                worker.run();
            })?;
        vm.signals.set_worker(thread.thread().clone());
        Ok(Post { thread, abort })
    }

    /// Does what the scheduler asked for.
    pub(super) fn attend(&self, chore: Chore) {
        match chore {
            Chore::Reset { engine, vm, report } => {
                if self.reset(engine, vm, report) {
                    self.resume(engine);
                }
            }
            Chore::Quarantine(vm) => self.lock_out(vm),
        }
    }

    /// Whatever runs on an engine is over. No change if it runs nothing.
    pub(super) fn reset_whatever_runs(&self, engine: EngineId) {
        if let Some((vm, report)) = self.arbiter.holder(engine) {
            self.reset(engine, vm, report);
        }
    }

    /// The VM's unit is over, and its context lost, unless it has ended meanwhile. Tells whether it is; the engine is
    /// not free yet.
    fn reset(&self, engine: EngineId, vm: VmId, report: u64) -> bool {
        let Some(vm) = self.directory.vm_by_id(vm) else {
            return false;
        };
        // Held throughout: whoever destroys the VM waits for what becomes of its worker.
        let mut post = vm.post();
        let mut state = vm.state();
        let Some(running) = state.running.take_if(|running| running.report == report) else {
            // It has ended, or its worker has not come to begin it.
            state.overdue = Some(report);
            return false;
        };
        log::warn!(
            "a unit of VM {} hangs on engine {}: its context is lost",
            vm.id.0,
            engine.0
        );
        state.worker = state.worker.wrapping_add(1);
        let ran = self.arbiter.now().0.saturating_sub(running.began.0);
        state.work.unit_done(Nanos(ran));
        if let Ok(context) = state.objects.queue(running.queue) {
            state.lose_context(context, Damage::Guilty);
        }
        if vm.stuck.fetch_add(1, Ordering::SeqCst) >= MOST_STUCK {
            log::error!("VM {}: too many units hang; its GPU work is over", vm.id.0);
            state.fail(NtStatus::GraphicsGpuExceptionOnDevice);
        }
        // Taking work away leaves nothing new to run.
        let _ = vm.publish(state);
        // The lost thread is nobody's to join.
        if let Some(abort) = post.take().and_then(|lost| lost.abort) {
            abort.abort();
        }
        vm.units.give_up(running.ticket);
        self.stopped().insert(
            engine,
            Stopped {
                vm: Arc::clone(&vm),
                began: running.began,
            },
        );
        match self.hire(&vm, report.wrapping_add(1)) {
            Ok(hired) => {
                *post = Some(hired);
                vm.signals.notice();
            }
            Err(error) => {
                log::error!(
                    "the host gives no thread, VM {} gets no worker: {error}",
                    vm.id.0
                );
                vm.state().fail(NtStatus::GraphicsGpuExceptionOnDevice);
                drop(post);
                worker::tell_of_the_end(&vm);
            }
        }
        true
    }

    /// An engine that was reset is free: the unit is reported, with all the time since it began.
    pub(super) fn resume(&self, engine: EngineId) {
        let Some(stopped) = self.stopped().remove(&engine) else {
            return;
        };
        let vm = stopped.vm;
        // The VM's next unit logs that it runs; this one's end comes first.
        let _no_unit = vm.units.enter();
        let reported = self.arbiter.unit_done(vm.id, engine, stopped.began);
        let mut state = vm.state();
        state.log_release(reported.now);
        state.log_lost_work(|| reported.now);
    }

    /// What waits of a VM's work is failed, if the VM is still locked out.
    fn lock_out(&self, vm: VmId) {
        let Some(vm) = self.directory.vm_by_id(vm) else {
            return;
        };
        log::warn!("VM {} hung too often and is locked out", vm.id.0);
        let mut state = vm.state();
        if !vm.signals.is_quarantined() {
            return;
        }
        state.fail_all(NtStatus::AccessDenied);
        state.log_lost_work(|| self.arbiter.now());
        let _ = vm.publish(state);
        vm.signals.notice();
    }

    fn stopped(&self) -> std::sync::MutexGuard<'_, HashMap<EngineId, Stopped>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
