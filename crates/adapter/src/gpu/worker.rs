// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM's worker thread: sleeps until the VM holds an engine, runs units, reports each, and tells what is complete.
//!
//! What is charged is the time that the engine was held, from the moment that the worker saw its grant to the end of
//! its last unit: all that keeps the engine from others, telling included.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress as UnitEnd, Renderer, Work};
use rondo_scheduler::{EngineId, Nanos};

use crate::ddi::{Completion, DdiResult};
use crate::gpu::account::Item;
use crate::gpu::arbiter::{Arbiter, Reported};
use crate::gpu::config::WorkerHook;
use crate::gpu::context;
use crate::gpu::signals::Wake;
use crate::gpu::stint::Stint;
use crate::gpu::vm::{Outbox, Phase, Running, Vm, VmState};
use crate::handle::HwQueueHandle;
use crate::status::NtStatus;

/// Completions are told in one go while the next command is short and the oldest has waited for less than this: a
/// client that waits for one fence does not notice, one that sends many small commands is interrupted less often.
const TELL_WITHIN: Nanos = Nanos::from_micros(20);

/// Most completions that are told in one go.
const TELL_AT_MOST: usize = 32;

/// A command on so many pixels is short: it takes a few microseconds.
const SHORT_PIXELS: u64 = 4096;

/// A VM's worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// Its VM.
    pub(super) vm: Arc<Vm>,
    /// Who grants engines.
    pub(super) arbiter: Arc<Arbiter>,
    /// What runs units.
    pub(super) renderer: Box<dyn Renderer>,
    /// How much a unit may do.
    pub(super) budget: UnitBudget,
    /// Who is told when it should make room.
    pub(super) hook: Option<Arc<dyn WorkerHook>>,
    /// How long it has held its engine of late.
    pub(super) stint: Stint,
    /// Which of the VM's workers it is.
    pub(super) number: u64,
    /// How many units the VM has reported.
    pub(super) reports: u64,
}

/// The worker was given up while its unit hung: another one serves the VM.
#[derive(Clone, Copy, Debug)]
struct Lost;

/// What is to be told after a unit.
#[derive(Clone, Copy, Debug, Default)]
struct Untold {
    untold: usize,
    /// Some of it is no completion.
    urgent: bool,
    logged: bool,
    next_is_short: bool,
}

impl Worker {
    /// The thread's body. A panic below ends the VM's work, and nobody else's; that of a worker which was given up ends nothing.
    pub(super) fn run(mut self) {
        let served = panic::catch_unwind(AssertUnwindSafe(|| self.serve()));
        if self.vm.state().worker != self.number {
            self.vm.stuck.fetch_sub(1, Ordering::SeqCst);
            log::debug!(
                "a worker of VM {} is back from a unit that hung",
                self.vm.id.0
            );
        } else if served.is_err() {
            log::error!(
                "the worker of VM {} died of a bug; its work is over",
                self.vm.id.0
            );
            self.fail();
        }
    }

    fn serve(&mut self) -> Result<(), Lost> {
        let mut told = Outbox::default();
        loop {
            match self.vm.signals.wait() {
                Wake::Exit => return Ok(()),
                Wake::Notice => tell(&self.vm, &mut told),
                Wake::Granted(engine) => self.hold(engine, &mut told)?,
            }
        }
    }

    /// Runs units until the engine is taken away.
    fn hold(&mut self, engine: EngineId, told: &mut Outbox) -> Result<(), Lost> {
        let mut began = self.arbiter.now();
        self.arbiter.begun(&self.vm.signals, engine, began);
        let mut oldest = None;
        loop {
            let untold = self.unit(engine, began)?;
            let Reported {
                keeps,
                now,
                reports,
            } = self.arbiter.unit_done(self.vm.id, engine, began);
            self.reports = reports;
            if untold.logged && !keeps {
                self.vm.state().log_release(now);
            }
            let before = std::mem::replace(&mut began, now);
            if let Some(rests) = self.stint.held(before, now)
                && let Some(hook) = &self.hook
            {
                hook.on_rest(rests);
            }
            if untold.untold > 0 {
                let oldest_at = *oldest.get_or_insert(now);
                let waited = now.0.saturating_sub(oldest_at.0);
                let may_wait = keeps
                    && untold.next_is_short
                    && !untold.urgent
                    && untold.untold < TELL_AT_MOST
                    && waited < TELL_WITHIN.0;
                if !may_wait {
                    tell(&self.vm, told);
                    oldest = None;
                }
            }
            if !keeps {
                return Ok(());
            }
            self.arbiter.go_on(&self.vm.signals, engine, before, now);
        }
    }

    /// Runs one unit of the command whose turn it is.
    fn unit(&mut self, engine: EngineId, now: Nanos) -> Result<Untold, Lost> {
        let units = self.vm.units.enter();
        let mut state = self.vm.state();
        let overdue = state.overdue.take() == Some(self.reports);
        let begun = match state.phase {
            // Whoever destroys the VM has waited for the last unit.
            Phase::Destroyed => None,
            // The report takes the engine away; the next grant is watched anew.
            Phase::Live | Phase::Failed if overdue => None,
            Phase::Live | Phase::Failed => state.begin(),
        };
        state.log_unit(begun.as_ref().map(|&(queue, _)| queue), engine, now);
        let end = match begun {
            None => None,
            Some((queue, Err(status))) => Some((queue, Err(status))),
            Some((queue, Ok(mut work))) => {
                state.running = Some(Running {
                    queue,
                    began: now,
                    report: self.reports,
                    ticket: units.ticket(),
                });
                drop(state);
                let end = self.renderer.run(&mut work, self.budget);
                state = self.vm.state();
                if state.worker != self.number {
                    // What is left of the work may be large; nobody waits for it to go.
                    drop(state);
                    return Err(Lost);
                }
                state.running = None;
                Some((queue, Ok((work, end))))
            }
        };
        if let Some((queue, end)) = end {
            // Inside the VM time is counted without what reporting the unit takes, which is known only afterwards.
            let ran = self.arbiter.now().0.saturating_sub(now.0);
            state.work.unit_done(Nanos(ran));
            state.end(queue, end, now);
        }
        let untold = Untold {
            untold: state.outbox.completions.len() + state.outbox.suspensions.len(),
            urgent: !state.outbox.suspensions.is_empty(),
            logged: state.log.is_some(),
            next_is_short: state.next_is_short(),
        };
        // The scheduler reads the flag when the unit is reported.
        let _ = self.vm.publish(state);
        Ok(untold)
    }

    /// The VM runs nothing any more: all that waits ends with an error, and the engine goes to others.
    fn fail(&self) {
        let mut state = self.vm.state();
        state.fail(NtStatus::GraphicsGpuExceptionOnDevice);
        state.log_release(self.arbiter.now());
        state.log_lost_work(|| self.arbiter.now());
        let _ = self.vm.publish(state);
        self.arbiter.abandon(self.vm.id);
        tell_of_the_end(&self.vm);
    }
}

/// Tells the device of a VM without a worker what has become of its work.
pub(super) fn tell_of_the_end(vm: &Vm) {
    let mut told = Outbox::default();
    if panic::catch_unwind(AssertUnwindSafe(|| tell(vm, &mut told))).is_err() {
        log::error!("VM {} could not be told of it", vm.id.0);
    }
}

/// Tells the VM's device what is complete. No lock is held meanwhile.
fn tell(vm: &Vm, told: &mut Outbox) {
    let mut state = vm.state();
    std::mem::swap(&mut state.outbox, told);
    let callbacks = state.callbacks.clone();
    drop(state);
    if let Some(callbacks) = callbacks
        && !told.is_empty()
    {
        for &(context, damage) in &told.lost {
            callbacks.invalidate_hw_context(context, damage);
        }
        if !told.completions.is_empty() {
            callbacks.notify_interrupt(&told.completions);
        }
        for &(context, fence) in &told.suspensions {
            callbacks.notify_context_suspended(context, fence);
        }
    }
    told.clear();
}

impl VmState {
    /// The command whose turn it is, ready to run.
    fn begin(&mut self) -> Option<(HwQueueHandle, DdiResult<Work>)> {
        let (queue, job) = self.work.begin_unit()?;
        if let Some(work) = self.work.take_started(queue) {
            return Some((queue, Ok(work)));
        }
        let work = self
            .connection
            .as_ref()
            .ok_or(NtStatus::InvalidDeviceState)
            .and_then(|connection| context::start(&job.command, &self.objects, connection));
        Some((queue, work))
    }

    /// What became of the command that [`VmState::begin`] gave out.
    fn end(&mut self, queue: HwQueueHandle, end: DdiResult<(Work, UnitEnd)>, now: Nanos) {
        let (frames, status) = match end {
            Ok((work, UnitEnd::Preempted)) => {
                self.work.put_back(queue, work);
                return;
            }
            Ok((work, UnitEnd::Done)) => (work.frames(), Ok(())),
            Ok((work, UnitEnd::Failed(_))) => (work.frames(), Err(NtStatus::NoMemory)),
            Err(status) => (0, Err(status)),
        };
        if frames > 0 {
            self.progress.first_frame.get_or_insert(now);
            self.progress.frames = self.progress.frames.saturating_add(u64::from(frames));
        }
        let Some(progress_fence_id) = self.work.complete(queue) else {
            return;
        };
        self.account.release(Item::Command);
        self.progress.commands = self.progress.commands.saturating_add(1);
        self.outbox.completions.push(Completion {
            queue,
            progress_fence_id,
            status,
        });
    }

    /// Whether the command whose turn it is takes a few microseconds at most.
    fn next_is_short(&self) -> bool {
        self.work
            .next()
            .is_some_and(|(_, job)| job.command.pixels() <= SHORT_PIXELS)
    }
}
