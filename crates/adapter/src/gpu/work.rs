// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM's work: commands in the queues of its contexts, and which of them runs next.
//!
//! Queues are first in, first out; the queues of a context take turns, unit by unit. Which context is next, the scheduler
//! inside the VM decides ([`rondo_scheduler::inside`]); it is told here which of them have work. A suspended context keeps its
//! work and has no turn. Pure data: no lock, no thread, no clock; nothing is allocated once the queues have grown.

use std::collections::{HashMap, VecDeque};

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::{BandSettings, ContextProperties, ContextScheduler};

use crate::ddi::{DdiResult, GpuCommand};
use crate::gpu::scheduling::{context_id, process_id, refusal};
use crate::gpu::turns::Turns;
use crate::handle::{ContextHandle, HwQueueHandle, KmdProcessHandle};
use crate::status::NtStatus;

/// Most commands of one VM that may wait. A guest that waits for nothing is stopped here; a virtqueue of 256 entries,
/// and one of 64 rings with several commands each, stay below.
pub const MAX_PENDING_COMMANDS: usize = 4096;

/// A command that waits or is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// What to do.
    pub(super) command: GpuCommand,
    /// The progress fence that its end is told with.
    fence: u64,
}

/// A queue of a context.
#[derive(Debug)]
pub(super) struct Queue<W> {
    context: ContextHandle,
    jobs: VecDeque<Job>,
    /// What is left of the first command, once it has been started.
    started: Option<W>,
    last_fence: Option<u64>,
}

/// A context: those of its queues that have work.
#[derive(Debug, Default)]
pub(super) struct Context {
    queues: Turns<HwQueueHandle>,
    last_suspend_fence: Option<u64>,
}

/// See the module. `W` is what a started command carries from one unit to the next.
#[derive(Debug)]
pub(super) struct WorkQueues<W> {
    contexts: HashMap<ContextHandle, Context>,
    queues: HashMap<HwQueueHandle, Queue<W>>,
    order: ContextScheduler,
    pending: usize,
}

impl<W> WorkQueues<W> {
    /// No process, no work; the bands as they are set up.
    pub(super) fn new(bands: BandSettings) -> Self {
        Self {
            contexts: HashMap::new(),
            queues: HashMap::new(),
            order: ContextScheduler::new(bands),
            pending: 0,
        }
    }

    /// The bands are set up anew; in force from the next yield calculation on.
    pub(super) fn set_up_bands(&mut self, bands: BandSettings) {
        let checked = self.order.set_up_bands(bands);
        debug_assert!(checked.is_ok(), "unchecked bands");
    }

    /// A present in the foreground is complete: the next unit boundary has a yield check.
    pub(super) const fn focus_present(&mut self) {
        self.order.focus_present();
    }

    /// A new process.
    ///
    /// # Errors
    /// [`NtStatus::NoMemory`] if there are too many.
    pub(super) fn add_process(&mut self, process: KmdProcessHandle) -> DdiResult<()> {
        self.order.add_process(process_id(process)).map_err(refusal)
    }

    /// A process goes; its contexts are gone already.
    pub(super) fn remove_process(&mut self, process: KmdProcessHandle) {
        let gone = self.order.remove_process(process_id(process));
        debug_assert!(gone.is_ok(), "{gone:?}");
    }

    /// A new context of a process, resumed, without queues, NORMAL.
    ///
    /// # Errors
    /// [`NtStatus::NoMemory`] if there are too many.
    pub(super) fn add_context(
        &mut self,
        process: KmdProcessHandle,
        context: ContextHandle,
    ) -> DdiResult<()> {
        let properties = ContextProperties::default();
        self.order
            .add_context(process_id(process), context_id(context), properties)
            .map_err(refusal)?;
        self.contexts.insert(context, Context::default());
        Ok(())
    }

    /// A context is scheduled otherwise, from the next unit boundary on.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`], [`NtStatus::NoMemory`].
    pub(super) fn set_properties(
        &mut self,
        context: ContextHandle,
        properties: ContextProperties,
    ) -> DdiResult<()> {
        self.order
            .set_properties(context_id(context), properties)
            .map_err(refusal)
    }

    /// A context goes; its queues are gone already.
    pub(super) fn remove_context(&mut self, context: ContextHandle) {
        let gone = self.order.remove_context(context_id(context));
        debug_assert!(gone.is_ok(), "{gone:?}");
        self.contexts.remove(&context);
    }

    /// A new, empty queue of a context.
    pub(super) fn add_queue(&mut self, context: ContextHandle, queue: HwQueueHandle) {
        self.queues.insert(
            queue,
            Queue {
                context,
                jobs: VecDeque::new(),
                started: None,
                last_fence: None,
            },
        );
    }

    /// A queue goes, with all its commands. Returns how many were abandoned.
    pub(super) fn remove_queue(&mut self, queue: HwQueueHandle) -> usize {
        let Some(removed) = self.queues.remove(&queue) else {
            return 0;
        };
        if let Some(context) = self.contexts.get_mut(&removed.context) {
            context.queues.leave(queue);
            if context.queues.is_empty() {
                self.idle(removed.context);
            }
        }
        self.pending = self.pending.saturating_sub(removed.jobs.len());
        removed.jobs.len()
    }

    /// Whether another command may wait, with this progress fence.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`], [`NtStatus::InvalidParameter`] for a fence that is not above the queue's last one,
    /// [`NtStatus::InsufficientResources`] above [`MAX_PENDING_COMMANDS`].
    pub(super) fn check_submit(&self, queue: HwQueueHandle, fence: u64) -> DdiResult<()> {
        let queue = self.queues.get(&queue).ok_or(NtStatus::InvalidHandle)?;
        if queue.last_fence.is_some_and(|last| fence <= last) {
            return Err(NtStatus::InvalidParameter);
        }
        if self.pending >= MAX_PENDING_COMMANDS {
            return Err(NtStatus::InsufficientResources);
        }
        Ok(())
    }

    /// Queues a command that [`Self::check_submit`] has allowed.
    pub(super) fn submit(&mut self, handle: HwQueueHandle, fence: u64, command: GpuCommand) {
        let Some(queue) = self.queues.get_mut(&handle) else {
            debug_assert!(false, "unchecked submission");
            return;
        };
        queue.jobs.push_back(Job { command, fence });
        queue.last_fence = Some(fence);
        self.pending += 1;
        if queue.jobs.len() > 1 {
            return;
        }
        let context = queue.context;
        if let Some(state) = self.contexts.get_mut(&context) {
            state.queues.enter(handle);
            let known = self.order.ready(context_id(context));
            debug_assert!(known.is_ok(), "{known:?}");
        }
    }

    /// Whether some context that is not suspended has work.
    pub(super) fn has_runnable(&self) -> bool {
        self.order.has_ready()
    }

    /// Whether a context has work, suspended or not.
    pub(super) fn has_work(&self, context: ContextHandle) -> bool {
        self.contexts
            .get(&context)
            .is_some_and(|context| !context.queues.is_empty())
    }

    /// The command whose turn it is. It stays in its queue.
    pub(super) fn next(&self) -> Option<(HwQueueHandle, Job)> {
        self.first_of(ContextHandle(self.order.next()?.0))
    }

    /// A unit begins: of the command that [`Self::next`] names.
    pub(super) fn begin_unit(&mut self) -> Option<(HwQueueHandle, Job)> {
        let context = self.order.unit_begins()?;
        self.first_of(ContextHandle(context.0))
    }

    /// The unit that [`Self::begin_unit`] began has ended. The command that it was of is put back or completed next.
    pub(super) fn unit_done(&mut self, ran: Nanos) {
        self.order.unit_done(ran);
    }

    /// The command whose turn it is in a context.
    fn first_of(&self, context: ContextHandle) -> Option<(HwQueueHandle, Job)> {
        let handle = self.contexts.get(&context)?.queues.next()?;
        let job = self.queues.get(&handle)?.jobs.front()?;
        Some((handle, *job))
    }

    /// A context has no work any more.
    fn idle(&mut self, context: ContextHandle) {
        let known = self.order.idle(context_id(context));
        debug_assert!(known.is_ok(), "{known:?}");
    }

    /// Takes what is left of the queue's first command, if it was started.
    pub(super) fn take_started(&mut self, handle: HwQueueHandle) -> Option<W> {
        self.queues.get_mut(&handle)?.started.take()
    }

    /// The queue's first command had its turn and is not done; this is left of it.
    pub(super) fn put_back(&mut self, handle: HwQueueHandle, started: W) {
        if let Some(queue) = self.queues.get_mut(&handle) {
            queue.started = Some(started);
        }
        self.served(handle);
    }

    /// The queue's first command is complete; returns its progress fence.
    pub(super) fn complete(&mut self, handle: HwQueueHandle) -> Option<u64> {
        let job = self.queues.get_mut(&handle)?.jobs.pop_front()?;
        self.pending = self.pending.saturating_sub(1);
        self.served(handle);
        Some(job.fence)
    }

    /// Moves the turn on after a unit of this queue.
    fn served(&mut self, handle: HwQueueHandle) {
        let Some(queue) = self.queues.get(&handle) else {
            return;
        };
        let of = queue.context;
        if let Some(context) = self.contexts.get_mut(&of) {
            context.queues.served(handle, !queue.jobs.is_empty());
            if context.queues.is_empty() {
                self.idle(of);
            }
        }
    }

    /// Takes a context's turns away. Returns whether it had them, `false` if it was suspended already.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`], [`NtStatus::InvalidParameter`] for a fence that is not above the last one.
    pub(super) fn suspend(&mut self, handle: ContextHandle, fence: u64) -> DdiResult<bool> {
        let context = self
            .contexts
            .get_mut(&handle)
            .ok_or(NtStatus::InvalidHandle)?;
        if context.last_suspend_fence.is_some_and(|last| fence <= last) {
            return Err(NtStatus::InvalidParameter);
        }
        context.last_suspend_fence = Some(fence);
        self.order.suspend(context_id(handle)).map_err(refusal)
    }

    /// Gives a context its turns back; no change if it has them.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`].
    pub(super) fn resume(&mut self, handle: ContextHandle) -> DdiResult<()> {
        self.order
            .resume(context_id(handle))
            .map(|_| ())
            .map_err(refusal)
    }

    /// Forgets what started commands carry if `drop_it` says so; such a command starts anew at its next turn.
    pub(super) fn forget_started(&mut self, drop_it: impl Fn(&GpuCommand) -> bool) {
        for queue in self.queues.values_mut() {
            if queue.jobs.front().is_some_and(|job| drop_it(&job.command)) {
                queue.started = None;
            }
        }
    }

    /// Takes every command of some contexts out, a queue's in their order.
    pub(super) fn drain(
        &mut self,
        whose: impl Fn(ContextHandle) -> bool,
    ) -> Vec<(HwQueueHandle, u64)> {
        let mut drained = Vec::new();
        for (&handle, queue) in &mut self.queues {
            if !whose(queue.context) {
                continue;
            }
            queue.started = None;
            drained.extend(queue.jobs.drain(..).map(|job| (handle, job.fence)));
            if let Some(context) = self.contexts.get_mut(&queue.context) {
                context.queues.leave(handle);
            }
        }
        for &context in self.contexts.keys().filter(|&&context| whose(context)) {
            let known = self.order.idle(context_id(context));
            debug_assert!(known.is_ok(), "{known:?}");
        }
        self.pending = self.pending.saturating_sub(drained.len());
        drained
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used
)]
mod tests;
