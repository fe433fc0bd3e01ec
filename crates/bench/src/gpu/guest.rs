// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM as a driver sees it: a process with contexts, queues and one small image.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::{
    AdapterCallbacks, AllocationKind, ChildStatus, Completion, ContextSchedulingProperties,
    CreateAllocation, CreateContext, CreateProcess, CreateProcessFlags, Ddi, DdiResult, GpuCommand,
    GuestRange, Guid, PagingOperation, PriorityBand, Screen, SetVirtualMachineData, SubmitCommand,
    VirtualGpuProfile, VirtualMachineDataFlags, VmConnection, VmHost,
};
use rondo_adapter::gpu::DEFAULT_PROFILE;
use rondo_adapter::handle::{AllocationHandle, HwQueueHandle, KmdProcessHandle};
use rondo_adapter::scheduling_log::SchedulingLog;
use rondo_adapter::status::NtStatus;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_scheduler::Nanos;
use vm_memory::{GuestAddress, GuestMemoryAtomic, GuestMemoryMmap};

use super::VmPlan;

const SIZE: Size = Size {
    width: 16,
    height: 16,
};
const BYTES: u32 = SIZE.width * SIZE.height * 4;

/// Commands of each context of a busy VM that are under way.
const IN_FLIGHT: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Guest {
    adapter: Weak<Adapter>,
    worker: KmdProcessHandle,
    queues: Vec<(HwQueueHandle, AtomicU64)>,
    image: AllocationHandle,
    busy: AtomicBool,
}

impl Guest {
    /// The `number`th VM, counted from 1.
    pub(super) fn new(adapter: &Arc<Adapter>, number: u8, plan: &VmPlan) -> DdiResult<Arc<Self>> {
        let worker = worker(adapter, number, plan)?;
        let process = adapter.create_process(&CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
            worker: Some(worker),
            name: None,
        })?;
        let device = adapter.create_device(process)?;
        let mut queues = Vec::new();
        for _ in 0..plan.contexts {
            let context = adapter.create_context(&CreateContext { device, node: 0 })?;
            // In units of 100 ns. Several take turns after each unit: a quantum shorter than any, and no grace.
            let (quantum, grace) = if plan.contexts > 1 {
                (1, 0)
            } else {
                (20_000, 2_500)
            };
            adapter.set_context_scheduling_properties(&ContextSchedulingProperties {
                context,
                band: PriorityBand::Normal,
                realtime_level: 0,
                in_process_priority: 0,
                quantum,
                grace_period_same: grace,
                grace_period_lower: grace,
            })?;
            queues.push((adapter.create_hw_queue(context)?, AtomicU64::new(0)));
        }
        let image = adapter.create_allocation(&CreateAllocation {
            process,
            kind: AllocationKind::Image {
                size: SIZE,
                format: PixelFormat::B8G8R8X8,
            },
        })?;
        let addr = 0;
        adapter.build_paging_buffer(&PagingOperation::MapApertureSegment {
            process,
            allocation: image,
            pages: vec![GuestRange { addr, len: BYTES }],
        })?;
        let guest = Arc::new(Self {
            adapter: Arc::downgrade(adapter),
            worker,
            queues,
            image,
            busy: AtomicBool::new(false),
        });
        adapter.set_callbacks(worker, Arc::clone(&guest) as Arc<dyn AdapterCallbacks>)?;
        Ok(guest)
    }

    /// From now on it always has work.
    pub(super) fn start(&self) -> DdiResult<()> {
        self.busy.store(true, Ordering::SeqCst);
        for queue in 0..self.queues.len() {
            (0..IN_FLIGHT).try_for_each(|_| self.submit(queue))?;
        }
        Ok(())
    }

    /// It submits nothing any more by itself.
    pub(super) fn stop(&self) {
        self.busy.store(false, Ordering::SeqCst);
    }

    /// What it was charged so far.
    pub(super) fn charged(&self) -> DdiResult<Nanos> {
        let adapter = self.adapter.upgrade().ok_or(NtStatus::DeviceRemoved)?;
        Ok(adapter.query_statistics(self.worker)?.gpu)
    }

    pub(super) fn log(&self, adapter: &Adapter, log: Option<Arc<SchedulingLog>>) -> DdiResult<()> {
        adapter.set_scheduling_log_buffer(self.worker, log)
    }

    /// Another command in a queue.
    pub fn submit(&self, queue: usize) -> DdiResult<()> {
        let adapter = self.adapter.upgrade().ok_or(NtStatus::DeviceRemoved)?;
        let (handle, fence) = self.queues.get(queue).ok_or(NtStatus::InvalidHandle)?;
        adapter.submit_command_to_hw_queue(&SubmitCommand {
            queue: *handle,
            progress_fence_id: fence.fetch_add(1, Ordering::SeqCst) + 1,
            command: GpuCommand::TransferToHost2d {
                allocation: self.image,
                rect: Rect::whole(SIZE),
                offset: 0,
            },
        })
    }
}

/// The VM itself: who it is, what it is promised, its memory and its screen.
fn worker(adapter: &Adapter, number: u8, plan: &VmPlan) -> DdiResult<KmdProcessHandle> {
    let worker = adapter.create_process(&CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
        ..CreateProcess::default()
    })?;
    adapter.set_virtual_machine_data(&SetVirtualMachineData {
        worker,
        vm_guid: Guid([number; 16]),
        flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
    })?;
    let longest = plan.unit.0 + plan.unit.0 / 10 + 10_000;
    adapter.set_virtual_gpu_profile(
        worker,
        &VirtualGpuProfile {
            guarantee: plan.guarantee,
            slice: plan.slice,
            max_unit: Some(Nanos(longest)),
            ..DEFAULT_PROFILE
        },
    )?;
    let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), BYTES as usize)]);
    let status = ChildStatus {
        connected: true,
        size: SIZE,
        position: (0, 0),
    };
    let sink = Box::new(NoScreen);
    adapter.connect_vm(
        worker,
        VmConnection {
            memory: GuestMemoryAtomic::new(map.map_err(|_| NtStatus::NoMemory)?),
            screens: vec![Screen { status, sink }],
        },
    )?;
    Ok(worker)
}

impl AdapterCallbacks for Guest {
    fn notify_interrupt(&self, completions: &[Completion]) {
        for completion in completions {
            let queue = (self.queues.iter()).position(|(queue, _)| *queue == completion.queue);
            if let Some(queue) = queue
                && self.busy.load(Ordering::SeqCst)
            {
                // The adapter refuses only when it stops.
                let _ = self.submit(queue);
            }
        }
    }

    fn indicate_child_status(&self) {}
}

/// A screen on which nothing is ever shown.
#[derive(Debug)]
struct NoScreen;

impl FrameSink for NoScreen {
    fn configure(&mut self, _mode: Option<FrameMode>) {}

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        None
    }

    fn present_frame(&mut self, _damage: Rect) {}

    fn set_cursor(&mut self, _image: Option<CursorImage>) {}

    fn move_cursor(&mut self, _x: u32, _y: u32) {}
}
