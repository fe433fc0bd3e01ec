// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM on a software GPU, as tests need it: its processes, a queue, and what it was told.

#![allow(dead_code, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::Clock;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{DEFAULT_PROFILE, RendererFactory, SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::handle::*;
use rondo_adapter::status::NtStatus;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Work};
use rondo_scheduler::{Nanos, Ppm};
use vm_memory::{
    GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend, GuestMemoryMmap,
};

/// Bytes of guest memory.
pub const GUEST_BYTES: usize = 1 << 20;

/// A GPU that lets secure VMs in, started.
pub fn adapter() -> Arc<Adapter> {
    start(SoftwareGpuConfig {
        isolation: true,
        ..SoftwareGpuConfig::default()
    })
}

pub fn start(config: SoftwareGpuConfig) -> Arc<Adapter> {
    let gpu = Arc::new(SoftwareGpu::new(config).unwrap());
    Adapter::start(gpu, &PriorityBands::default()).unwrap()
}

pub fn guid(number: u8) -> Guid {
    Guid([number; 16])
}

pub fn create_worker(ddi: &dyn VmHost) -> KmdProcessHandle {
    ddi.create_process(&CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
        ..CreateProcess::default()
    })
    .unwrap()
}

pub fn identity(worker: KmdProcessHandle, number: u8, flags: u32) -> SetVirtualMachineData {
    SetVirtualMachineData {
        worker,
        vm_guid: guid(number),
        flags: VirtualMachineDataFlags(flags),
    }
}

pub fn vm_process(worker: KmdProcessHandle) -> CreateProcess {
    CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
        worker: Some(worker),
        name: Some("display".to_owned()),
    }
}

pub fn properties(context: ContextHandle) -> ContextSchedulingProperties {
    ContextSchedulingProperties {
        context,
        band: PriorityBand::Normal,
        realtime_level: 0,
        in_process_priority: 0,
        quantum: 20_000,
        grace_period_same: 5_000,
        grace_period_lower: 2_500,
    }
}

pub fn guest_memory() -> VmMemory {
    GuestMemoryAtomic::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), GUEST_BYTES)]).unwrap())
}

pub const MONITOR: ChildStatus = ChildStatus {
    connected: true,
    size: Size {
        width: 64,
        height: 64,
    },
    position: (0, 0),
};

/// A screen in memory.
#[derive(Debug, Default)]
pub struct Screenshot {
    pub mode: Option<FrameMode>,
    pub pixels: Vec<u8>,
    pub presents: usize,
    pub cursor: Option<CursorImage>,
    pub cursor_at: (u32, u32),
}

#[derive(Clone, Debug, Default)]
pub struct MemorySink(pub Arc<Mutex<Screenshot>>, Vec<u8>);

impl FrameSink for MemorySink {
    fn configure(&mut self, mode: Option<FrameMode>) {
        let bytes = mode.map_or(0, |mode| {
            mode.size.width as usize * mode.size.height as usize * 4
        });
        self.1 = vec![0; bytes];
        self.0.lock().unwrap().mode = mode;
    }

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        (!self.1.is_empty()).then_some(&mut self.1)
    }

    fn present_frame(&mut self, _damage: Rect) {
        let mut shot = self.0.lock().unwrap();
        shot.presents += 1;
        shot.pixels.clone_from(&self.1);
    }

    fn set_cursor(&mut self, image: Option<CursorImage>) {
        self.0.lock().unwrap().cursor = image;
    }

    fn move_cursor(&mut self, x: u32, y: u32) {
        self.0.lock().unwrap().cursor_at = (x, y);
    }
}

/// What a VM's device was told.
#[derive(Debug, Default)]
pub struct Told {
    state: Mutex<ToldState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ToldState {
    completions: Vec<Completion>,
    suspensions: Vec<(ContextHandle, u64)>,
    hot_plugs: usize,
    /// Lost contexts, with the number of completions that had been told before.
    lost: Vec<(ContextHandle, Damage, usize)>,
}

impl AdapterCallbacks for Told {
    fn notify_interrupt(&self, completions: &[Completion]) {
        self.state
            .lock()
            .unwrap()
            .completions
            .extend_from_slice(completions);
        self.changed.notify_all();
    }

    fn notify_context_suspended(&self, context: ContextHandle, fence: u64) {
        self.state
            .lock()
            .unwrap()
            .suspensions
            .push((context, fence));
        self.changed.notify_all();
    }

    fn invalidate_hw_context(&self, context: ContextHandle, damage: Damage) {
        let mut state = self.state.lock().unwrap();
        let before = state.completions.len();
        state.lost.push((context, damage, before));
        self.changed.notify_all();
    }

    fn indicate_child_status(&self) {
        self.state.lock().unwrap().hot_plugs += 1;
        self.changed.notify_all();
    }
}

impl Told {
    /// Blocks until `count` commands are complete. Never returns if one is lost: the harness' time limit says so.
    pub fn wait_for(&self, count: usize) -> Vec<Completion> {
        let mut state = self.state.lock().unwrap();
        while state.completions.len() < count {
            state = self.changed.wait(state).unwrap();
        }
        state.completions.clone()
    }

    pub fn wait_for_suspensions(&self, count: usize) -> Vec<(ContextHandle, u64)> {
        let mut state = self.state.lock().unwrap();
        while state.suspensions.len() < count {
            state = self.changed.wait(state).unwrap();
        }
        state.suspensions.clone()
    }

    pub fn completions(&self) -> Vec<Completion> {
        self.state.lock().unwrap().completions.clone()
    }

    pub fn lost(&self) -> Vec<(ContextHandle, Damage, usize)> {
        self.state.lock().unwrap().lost.clone()
    }

    pub fn hot_plugs(&self) -> usize {
        self.state.lock().unwrap().hot_plugs
    }
}

/// A VM with a display process, one context with its properties, and one queue.
#[derive(Debug)]
pub struct TestVm {
    pub ddi: Arc<Adapter>,
    pub worker: KmdProcessHandle,
    pub process: KmdProcessHandle,
    pub device: DeviceHandle,
    pub context: ContextHandle,
    pub queue: HwQueueHandle,
    pub told: Arc<Told>,
    pub screens: Vec<MemorySink>,
    pub memory: VmMemory,
    pub fence: AtomicU64,
}

impl TestVm {
    pub fn new(ddi: &Arc<Adapter>, number: u8) -> Self {
        Self::with_profile(ddi, number, &share(0))
    }

    pub fn with_profile(ddi: &Arc<Adapter>, number: u8, profile: &VirtualGpuProfile) -> Self {
        let screens = vec![MemorySink::default(), MemorySink::default()];
        let sinks = (screens.iter())
            .map(|sink| Box::new(sink.clone()) as Box<dyn FrameSink>)
            .collect();
        Self {
            screens,
            ..Self::with_sinks(ddi, number, profile, sinks)
        }
    }

    pub fn with_sinks(
        ddi: &Arc<Adapter>,
        number: u8,
        profile: &VirtualGpuProfile,
        sinks: Vec<Box<dyn FrameSink>>,
    ) -> Self {
        let worker = create_worker(&**ddi);
        ddi.set_virtual_machine_data(&identity(worker, number, VirtualMachineDataFlags::LINUX))
            .unwrap();
        ddi.set_virtual_gpu_profile(worker, profile).unwrap();
        let memory = guest_memory();
        let connection = VmConnection {
            memory: memory.clone(),
            screens: (sinks.into_iter())
                .map(|sink| Screen {
                    status: MONITOR,
                    sink,
                })
                .collect(),
        };
        ddi.connect_vm(worker, connection).unwrap();
        let told = Arc::new(Told::default());
        ddi.set_callbacks(worker, Arc::clone(&told) as Arc<dyn AdapterCallbacks>)
            .unwrap();
        let process = ddi.create_process(&vm_process(worker)).unwrap();
        let device = ddi.create_device(process).unwrap();
        let context = ddi
            .create_context(&CreateContext { device, node: 0 })
            .unwrap();
        ddi.set_context_scheduling_properties(&properties(context))
            .unwrap();
        let queue = ddi.create_hw_queue(context).unwrap();
        Self {
            ddi: Arc::clone(ddi),
            worker,
            process,
            device,
            context,
            queue,
            told,
            screens: Vec::new(),
            memory,
            fence: AtomicU64::new(0),
        }
    }

    /// An image of this size, backed by guest memory from address 0 on.
    pub fn backed_image(&self, size: Size) -> AllocationHandle {
        let allocation = self.image(size);
        self.map(allocation, size.width * size.height * 4).unwrap();
        allocation
    }

    pub fn image(&self, size: Size) -> AllocationHandle {
        self.try_image(size).unwrap()
    }

    pub fn try_image(&self, size: Size) -> DdiResult<AllocationHandle> {
        self.ddi.create_allocation(&CreateAllocation {
            process: self.process,
            kind: AllocationKind::Image {
                size,
                format: PixelFormat::B8G8R8X8,
            },
        })
    }

    pub fn blob(&self, size: u64) -> DdiResult<AllocationHandle> {
        self.ddi.create_allocation(&CreateAllocation {
            process: self.process,
            kind: AllocationKind::GuestBlob { size },
        })
    }

    pub fn map(&self, allocation: AllocationHandle, len: u32) -> DdiResult<()> {
        self.ddi
            .build_paging_buffer(&PagingOperation::MapApertureSegment {
                process: self.process,
                allocation,
                pages: vec![GuestRange { addr: 0, len }],
            })
    }

    pub fn unmap(&self, allocation: AllocationHandle) -> DdiResult<()> {
        self.ddi
            .build_paging_buffer(&PagingOperation::UnmapApertureSegment {
                process: self.process,
                allocation,
            })
    }

    /// How many backings refer to the guest's memory.
    pub fn holders_of_guest_memory(&self) -> usize {
        let memory = self.memory.memory();
        let region = memory.iter().next().unwrap();
        // One is the map's own and one is this.
        Arc::strong_count(&region.get_mmap()) - 2
    }

    /// Shows all of an image on a source.
    pub fn show(&self, source: u32, allocation: AllocationHandle, size: Size) {
        let source = VidPnSourceId(source);
        self.ddi
            .commit_vidpn(&CommitVidPn {
                process: self.process,
                source,
                size,
                format: PixelFormat::B8G8R8X8,
            })
            .unwrap();
        self.ddi
            .set_vidpn_source_address(&SetVidPnSourceAddress {
                process: self.process,
                source,
                allocation,
                surface: surface(size),
                rect: Rect::whole(size),
            })
            .unwrap();
    }

    pub fn transfer(allocation: AllocationHandle, size: Size) -> GpuCommand {
        GpuCommand::TransferToHost2d {
            allocation,
            rect: Rect::whole(size),
            offset: 0,
        }
    }

    pub fn present(allocation: AllocationHandle, size: Size) -> GpuCommand {
        GpuCommand::Present {
            allocation,
            rect: Rect::whole(size),
        }
    }

    /// Submits to the VM's queue with the next fence.
    pub fn submit(&self, command: GpuCommand) -> DdiResult<u64> {
        self.submit_to(self.queue, command)
    }

    pub fn submit_to(&self, queue: HwQueueHandle, command: GpuCommand) -> DdiResult<u64> {
        let progress_fence_id = self.fence.fetch_add(1, Ordering::SeqCst) + 1;
        self.ddi.submit_command_to_hw_queue(&SubmitCommand {
            queue,
            progress_fence_id,
            command,
        })?;
        Ok(progress_fence_id)
    }

    /// Another context of the display process, with a queue.
    pub fn another_context(&self) -> (ContextHandle, HwQueueHandle) {
        let args = CreateContext {
            device: self.device,
            node: 0,
        };
        let context = self.ddi.create_context(&args).unwrap();
        self.ddi
            .set_context_scheduling_properties(&properties(context))
            .unwrap();
        (context, self.ddi.create_hw_queue(context).unwrap())
    }

    pub fn statistics(&self) -> VmStatistics {
        self.ddi.query_statistics(self.worker).unwrap()
    }
}

pub const fn surface(size: Size) -> Surface {
    Surface {
        size,
        format: PixelFormat::B8G8R8X8,
        stride: size.width * 4,
        offset: 0,
    }
}

pub const fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

/// A guarantee, and a unit counts as hung only after an hour: a machine that gives a thread no core for a moment changes nothing.
pub fn share(parts: u32) -> VirtualGpuProfile {
    VirtualGpuProfile {
        guarantee: Ppm::new(parts).unwrap(),
        max_unit: Some(Nanos::from_millis(2)),
        hang_timeout: Nanos::from_millis(3_600_000),
        ..DEFAULT_PROFILE
    }
}

/// A clock that a renderer moves.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn advance(&self, by: Nanos) {
        self.0.fetch_add(by.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::SeqCst))
    }
}

/// Renderers whose units take exactly so long on a manual clock, and stand before a gate first.
#[derive(Debug)]
pub struct TimedRenderers {
    pub clock: Arc<ManualClock>,
    pub unit: Nanos,
    pub gate: Gate,
}

impl RendererFactory for TimedRenderers {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(TimedRenderer {
            clock: Arc::clone(&self.clock),
            unit: self.unit,
            gate: self.gate.clone(),
        })
    }
}

#[derive(Debug)]
struct TimedRenderer {
    clock: Arc<ManualClock>,
    unit: Nanos,
    gate: Gate,
}

impl Renderer for TimedRenderer {
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress {
        self.gate.pass();
        let progress = SoftwareRenderer.run(work, budget);
        self.clock.advance(self.unit);
        progress
    }
}

/// A gate that holds every unit until it is opened, so that a test knows when one runs.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    /// Units that may pass; `None`: all.
    passes: Option<usize>,
    /// Units that stand before the gate.
    waiting: usize,
}

impl Gate {
    pub fn closed() -> Self {
        let gate = Self::default();
        gate.0.0.lock().unwrap().passes = Some(0);
        gate
    }

    pub fn let_pass(&self, units: usize) {
        let mut state = self.0.0.lock().unwrap();
        state.passes = state.passes.map(|passes| passes + units);
        self.0.1.notify_all();
    }

    pub fn open(&self) {
        self.0.0.lock().unwrap().passes = None;
        self.0.1.notify_all();
    }

    /// Blocks until a unit stands before the gate.
    pub fn wait_for_unit(&self) {
        let mut state = self.0.0.lock().unwrap();
        while state.waiting == 0 {
            state = self.0.1.wait(state).unwrap();
        }
    }

    /// Blocks until all units that may pass have, and another one stands before the gate.
    pub fn wait_until_used_up(&self) {
        let mut state = self.0.0.lock().unwrap();
        while state.passes != Some(0) || state.waiting == 0 {
            state = self.0.1.wait(state).unwrap();
        }
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        self.0.1.notify_all();
        while state.passes == Some(0) {
            state = self.0.1.wait(state).unwrap();
        }
        state.passes = state.passes.map(|passes| passes - 1);
        state.waiting -= 1;
    }
}

impl RendererFactory for Gate {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(GatedRenderer(self.clone()))
    }
}

#[derive(Debug)]
struct GatedRenderer(Gate);

impl Renderer for GatedRenderer {
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress {
        self.0.pass();
        SoftwareRenderer.run(work, budget)
    }
}

/// A gated GPU.
pub fn gated() -> (Arc<Adapter>, Gate) {
    let gate = Gate::closed();
    let adapter = start(SoftwareGpuConfig {
        renderer: Arc::new(gate.clone()),
        ..SoftwareGpuConfig::default()
    });
    (adapter, gate)
}

pub const OK: DdiResult<()> = Ok(());
pub const fn refused<T>(status: NtStatus) -> DdiResult<T> {
    Err(status)
}
