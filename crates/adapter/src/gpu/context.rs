// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Contexts and hardware queues of a VM, and the work that is submitted to them.

use std::collections::HashSet;
use std::sync::Arc;

use rondo_renderer::screen::AllocationId;
use rondo_renderer::work::{Present, Source, Upload, Work};

use crate::ddi::{
    Completion, ContextSchedulingProperties, CreateContext, Damage, DdiResult, GpuCommand,
    SubmitCommand, Suspension,
};
use crate::gpu::account::Item;
use crate::gpu::objects::{Content, Context, Objects};
use crate::gpu::scheduling;
use crate::gpu::vm::{Connection, Phase, VmState};
use crate::handle::{AllocationHandle, ContextHandle, HwQueueHandle};
use crate::status::NtStatus;

impl GpuCommand {
    /// The allocation that the command reads.
    pub(super) const fn allocation(&self) -> AllocationHandle {
        match self {
            Self::TransferToHost2d { allocation, .. } | Self::Present { allocation, .. } => {
                *allocation
            }
        }
    }

    /// How many pixels the command is on, at most.
    pub(super) const fn pixels(&self) -> u64 {
        match self {
            Self::TransferToHost2d { rect, .. } | Self::Present { rect, .. } => {
                // Two 32-bit numbers.
                rect.width as u64 * rect.height as u64
            }
        }
    }
}

impl VmState {
    /// A new context, resumed.
    ///
    /// # Errors
    /// The device lookup's, [`NtStatus::InvalidParameter`] for a node that there is not, [`NtStatus::NoMemory`].
    pub(super) fn create_context(
        &mut self,
        args: &CreateContext,
        nodes: u16,
    ) -> DdiResult<ContextHandle> {
        let process = self.objects.device(args.device)?.process;
        if args.node >= nodes {
            return Err(NtStatus::InvalidParameter);
        }
        self.account.charge(Item::Object)?;
        let context = ContextHandle(self.take_handle()?);
        if let Err(status) = self.work.add_context(process, context) {
            self.account.release(Item::Object);
            return Err(status);
        }
        self.objects.contexts.insert(
            context,
            Context {
                device: args.device,
                properties: None,
                queues: HashSet::new(),
                lost: false,
            },
        );
        Ok(context)
    }

    /// Ends a context.
    ///
    /// # Errors
    /// The lookup's; [`NtStatus::InvalidDeviceState`] while it has queues.
    pub(super) fn destroy_context(&mut self, context: ContextHandle) -> DdiResult<()> {
        if !self.objects.context(context)?.queues.is_empty() {
            return Err(NtStatus::InvalidDeviceState);
        }
        self.cascade_context(context);
        Ok(())
    }

    /// Ends a context with its queues.
    pub(super) fn cascade_context(&mut self, context: ContextHandle) {
        let Some(gone) = self.objects.contexts.remove(&context) else {
            return;
        };
        for queue in gone.queues {
            self.forget_queue(queue);
        }
        self.work.remove_context(context);
        self.outbox.suspensions.retain(|&(of, _)| of != context);
        self.outbox.lost.retain(|&(of, _)| of != context);
        self.account.release(Item::Object);
    }

    /// How a context is scheduled, from the next unit boundary on.
    ///
    /// # Errors
    /// The lookup's, [`NtStatus::InvalidParameter`] for a value out of range, [`NtStatus::PrivilegeNotHeld`] for a band
    /// above NORMAL, [`NtStatus::NoMemory`].
    pub(super) fn set_context_scheduling_properties(
        &mut self,
        args: &ContextSchedulingProperties,
    ) -> DdiResult<()> {
        self.objects.context(args.context)?;
        let properties = scheduling::properties(args)?;
        self.work.set_properties(args.context, properties)?;
        if let Some(context) = self.objects.contexts.get_mut(&args.context) {
            context.properties = Some(*args);
        }
        Ok(())
    }

    /// Takes a context off the engine.
    ///
    /// # Errors
    /// The lookup's, [`NtStatus::InvalidParameter`] for a fence that is not above the last one.
    pub(super) fn suspend_context(
        &mut self,
        context: ContextHandle,
        fence: u64,
    ) -> DdiResult<Suspension> {
        if self.objects.context(context)?.lost || self.phase == Phase::Failed {
            // It is off the engine for good.
            return Ok(Suspension::Already);
        }
        if !self.work.suspend(context, fence)? {
            return Ok(Suspension::Already);
        }
        self.outbox.suspensions.push((context, fence));
        Ok(Suspension::Pending)
    }

    /// A context is lost: it runs nothing any more, and what waits of it ends with an error.
    pub(super) fn lose_context(&mut self, context: ContextHandle, damage: Damage) {
        let Some(lost) = self.objects.contexts.get_mut(&context) else {
            return;
        };
        lost.lost = true;
        self.outbox.lost.push((context, damage));
        let waiting = self.work.drain(|of| of == context);
        self.fail_commands(waiting, NtStatus::GraphicsGpuExceptionOnDevice);
    }

    /// All that waits of the VM's work ends with this error.
    pub(super) fn fail_all(&mut self, status: NtStatus) {
        let waiting = self.work.drain(|_| true);
        self.fail_commands(waiting, status);
    }

    fn fail_commands(&mut self, waiting: Vec<(HwQueueHandle, u64)>, status: NtStatus) {
        for (queue, progress_fence_id) in waiting {
            self.account.release(Item::Command);
            self.outbox.completions.push(Completion {
                queue,
                progress_fence_id,
                status: Err(status),
            });
        }
    }

    /// Gives a context its turns back.
    ///
    /// # Errors
    /// The lookup's.
    pub(super) fn resume_context(&mut self, context: ContextHandle) -> DdiResult<()> {
        self.objects.context(context)?;
        self.work.resume(context)
    }

    /// A new queue of a context.
    ///
    /// # Errors
    /// The lookup's, [`NtStatus::NoMemory`].
    pub(super) fn create_hw_queue(&mut self, context: ContextHandle) -> DdiResult<HwQueueHandle> {
        self.objects.context(context)?;
        self.account.charge(Item::Object)?;
        let queue = HwQueueHandle(self.take_handle()?);
        if let Some(owner) = self.objects.contexts.get_mut(&context) {
            owner.queues.insert(queue);
        }
        self.objects.queues.insert(queue, context);
        self.work.add_queue(context, queue);
        Ok(queue)
    }

    /// Ends a queue; what waits on it is abandoned. No unit may run.
    ///
    /// # Errors
    /// The lookup's.
    pub(super) fn destroy_hw_queue(&mut self, queue: HwQueueHandle) -> DdiResult<()> {
        let context = self.objects.queue(queue)?;
        if let Some(owner) = self.objects.contexts.get_mut(&context) {
            owner.queues.remove(&queue);
        }
        self.forget_queue(queue);
        Ok(())
    }

    fn forget_queue(&mut self, queue: HwQueueHandle) {
        self.objects.queues.remove(&queue);
        for _ in 0..self.work.remove_queue(queue) {
            self.account.release(Item::Command);
        }
        self.outbox.completions.retain(|done| done.queue != queue);
        self.account.release(Item::Object);
    }

    /// Queues a command.
    ///
    /// # Errors
    /// [`NtStatus::GraphicsGpuExceptionOnDevice`] on a lost context, and after a fault of the VM's worker;
    /// [`NtStatus::AccessDenied`] for a VM that is `locked_out`; the lookups', for the queue and for the allocation; [`NtStatus::InvalidDeviceState`] before the context's scheduling properties are set or the VM is
    /// connected; [`NtStatus::InvalidParameter`] for a fence that is not above the queue's last one and for a
    /// rectangle that leaves the image; [`NtStatus::InsufficientResources`] with too many commands waiting,
    /// [`NtStatus::NoMemory`].
    pub(super) fn submit(&mut self, args: &SubmitCommand, locked_out: bool) -> DdiResult<()> {
        let context = self.objects.context(self.objects.queue(args.queue)?)?;
        if context.lost || self.phase == Phase::Failed {
            return Err(NtStatus::GraphicsGpuExceptionOnDevice);
        }
        if locked_out {
            return Err(NtStatus::AccessDenied);
        }
        if context.properties.is_none() || self.connection.is_none() {
            return Err(NtStatus::InvalidDeviceState);
        }
        self.work.check_submit(args.queue, args.progress_fence_id)?;
        let allocation = self
            .objects
            .usable(context.device, args.command.allocation())?;
        let fits = match (&args.command, &allocation.content) {
            (GpuCommand::TransferToHost2d { rect, .. }, Content::Image(image))
            | (GpuCommand::Present { rect, .. }, Content::Image(image)) => rect.fits(image.size()),
            // A blob has no size in pixels: each screen that shows it has its own view of it.
            (GpuCommand::Present { .. }, Content::GuestBlob(_)) => true,
            (GpuCommand::TransferToHost2d { .. }, Content::GuestBlob(_)) => false,
        };
        if !fits {
            return Err(NtStatus::InvalidParameter);
        }
        self.account.charge(Item::Command)?;
        self.work
            .submit(args.queue, args.progress_fence_id, args.command);
        Ok(())
    }
}

/// What a command needs, looked up when its first unit is about to run.
///
/// # Errors
/// [`NtStatus::InvalidHandle`] if the allocation is gone, [`NtStatus::InvalidParameter`] if it has no backing where it
/// needs one, or if the rows that it would read leave the backing.
pub(super) fn start(
    command: &GpuCommand,
    objects: &Objects,
    connection: &Connection,
) -> DdiResult<Work> {
    let allocation = objects.allocation(command.allocation())?;
    let backing = allocation.backing.as_ref().map(|(backing, _)| backing);
    match (command, &allocation.content) {
        (GpuCommand::TransferToHost2d { rect, offset, .. }, Content::Image(image)) => {
            let backing = backing.ok_or(NtStatus::InvalidParameter)?;
            Work::upload(Upload {
                image: Arc::clone(image),
                backing: Arc::clone(backing),
                rect: *rect,
                offset: *offset,
            })
            .map_err(|_| NtStatus::InvalidParameter)
        }
        (GpuCommand::Present { allocation, rect }, content) => {
            let source = match content {
                Content::Image(image) => Source::Image(Arc::clone(image)),
                Content::GuestBlob(_) => {
                    Source::Blob(Arc::clone(backing.ok_or(NtStatus::InvalidParameter)?))
                }
            };
            Ok(Work::present(Present {
                allocation: AllocationId(allocation.0),
                source,
                rect: *rect,
                screens: Arc::clone(&connection.screens),
            }))
        }
        (GpuCommand::TransferToHost2d { .. }, Content::GuestBlob(_)) => {
            Err(NtStatus::InvalidParameter)
        }
    }
}
