// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How much of the GPU's time two VMs that always have work get out of it, beside threads that spin as vCPUs do.
//!
//! `two_busy_vms [SECONDS] [SPINNERS] [COMMANDS IN FLIGHT] [PROMPT] [SLICE US]`, 2, 2, 8, 1 and 2000 if not said; PROMPT is 0 for threads
//! as they are, 1 for a short slice and nice -10, 2 for the short slice alone. Guarantees are 75 % and 25 %; each VM
//! transfers and presents frames of 1280x800 and submits a new command for each that completes. Prints the shares, the
//! busy part of the elapsed time, and the round trip of a single small command on an idle GPU.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::{
    AdapterCallbacks, AllocationKind, ChildStatus, CommitVidPn, Completion,
    ContextSchedulingProperties, CreateAllocation, CreateContext, CreateProcess,
    CreateProcessFlags, Ddi, DdiResult, GpuCommand, Guid, PagingOperation, PriorityBand,
    PriorityBands, Screen, SetVidPnSourceAddress, SetVirtualMachineData, SubmitCommand, Surface,
    VidPnSourceId, VirtualGpuProfile, VirtualMachineDataFlags, VmConnection, VmHost,
};
use rondo_adapter::gpu::{DEFAULT_PROFILE, SoftwareGpu, SoftwareGpuConfig, WorkerHook};
use rondo_adapter::handle::{AllocationHandle, HwQueueHandle, KmdProcessHandle};
use rondo_adapter::status::NtStatus;
use rondo_adapter::thread_priority::PromptWorkers;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_scheduler::{Nanos, Ppm};
use vm_memory::{GuestAddress, GuestMemoryAtomic, GuestMemoryMmap};

const SIZE: Size = Size {
    width: 1280,
    height: 800,
};
const FORMAT: PixelFormat = PixelFormat::B8G8R8X8;
const BYTES: u32 = SIZE.width * SIZE.height * 4;

fn main() -> Result<(), NtStatus> {
    let arguments: Vec<u64> = (std::env::args().skip(1))
        .map(|text| text.parse().unwrap_or(0))
        .collect();
    let argument = |place: usize, default| arguments.get(place).copied().unwrap_or(default);
    let (seconds, spinners, depth) = (argument(0, 2), argument(1, 2), argument(2, 8));

    let prompt = PromptWorkers::default();
    let worker_hook: Option<Arc<dyn WorkerHook>> = match argument(3, 1) {
        0 => None,
        1 => Some(Arc::new(prompt)),
        _ => Some(Arc::new(PromptWorkers { nice: 0, ..prompt })),
    };
    let gpu = Arc::new(SoftwareGpu::new(SoftwareGpuConfig {
        worker_hook,
        ..SoftwareGpuConfig::default()
    })?);
    let adapter = Adapter::start(gpu, &PriorityBands::default())?;
    let slice = Nanos::from_micros(argument(4, 2000));
    let vms = [
        Guest::new(&adapter, 1, 750_000, slice)?,
        Guest::new(&adapter, 2, 250_000, slice)?,
    ];
    round_trip(&vms[0])?;

    let stop = Arc::new(AtomicBool::new(false));
    let spinning: Vec<_> = (0..spinners)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    hint::black_box(0);
                }
            })
        })
        .collect();
    let before = [vms[0].statistics()?, vms[1].statistics()?];
    let began = Instant::now();
    for vm in &vms {
        vm.busy.store(true, Ordering::SeqCst);
        for _ in 0..depth {
            vm.submit()?;
        }
    }
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [vms[0].statistics()?, vms[1].statistics()?];
    let elapsed = began.elapsed().as_nanos();
    stop.store(true, Ordering::Relaxed);
    for vm in &vms {
        vm.busy.store(false, Ordering::SeqCst);
    }
    for thread in spinning {
        let _ = thread.join();
    }
    let used: Vec<u64> = (before.iter().zip(&after))
        .map(|(before, after)| after.gpu.0 - before.gpu.0)
        .collect();
    let busy: u64 = used.iter().sum();
    println!(
        "{spinners} spinning threads, {depth} commands in flight: busy {:.2} % of {:.2} s",
        percent(busy.into(), elapsed),
        elapsed as f64 / 1e9
    );
    for (vm, (used, after)) in used.iter().zip(&after).enumerate() {
        println!(
            "VM {vm}: {:.2} % of the busy time, {} commands, {} frames, {} units, longest unit {} us, longest wait {} us",
            percent((*used).into(), busy.into()),
            after.commands,
            after.frames,
            after.units,
            after.longest_unit.0 / 1000,
            after.longest_wait.0 / 1000
        );
    }
    adapter.stop();
    Ok(())
}

fn percent(part: u128, whole: u128) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// One small command at a time, on an otherwise idle GPU.
fn round_trip(vm: &Guest) -> DdiResult<()> {
    let (sender, receiver) = channel();
    *vm.waiter.lock().map_err(|_| NtStatus::InvalidDeviceState)? = Some(sender);
    let mut times = Vec::new();
    for _ in 0..2000 {
        let began = Instant::now();
        vm.submit_small()?;
        let _ = receiver.recv();
        times.push(began.elapsed().as_nanos());
    }
    *vm.waiter.lock().map_err(|_| NtStatus::InvalidDeviceState)? = None;
    times.sort_unstable();
    println!(
        "round trip of one small command: p50 {} ns, p99 {} ns",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    Ok(())
}

#[derive(Debug)]
struct Guest {
    adapter: Weak<Adapter>,
    worker: KmdProcessHandle,
    queue: HwQueueHandle,
    image: AllocationHandle,
    fence: AtomicU64,
    busy: AtomicBool,
    waiter: std::sync::Mutex<Option<Sender<()>>>,
}

impl Guest {
    fn new(
        adapter: &Arc<Adapter>,
        number: u8,
        guarantee: u32,
        slice: Nanos,
    ) -> DdiResult<Arc<Self>> {
        let worker = adapter.create_process(&CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
            ..CreateProcess::default()
        })?;
        adapter.set_virtual_machine_data(&SetVirtualMachineData {
            worker,
            vm_guid: Guid([number; 16]),
            flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
        })?;
        adapter.set_virtual_gpu_profile(
            worker,
            &VirtualGpuProfile {
                guarantee: Ppm::new(guarantee).ok_or(NtStatus::InvalidParameter)?,
                slice,
                ..DEFAULT_PROFILE
            },
        )?;
        let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), BYTES as usize)]);
        let status = ChildStatus {
            connected: true,
            size: SIZE,
            position: (0, 0),
        };
        adapter.connect_vm(
            worker,
            VmConnection {
                memory: GuestMemoryAtomic::new(map.map_err(|_| NtStatus::NoMemory)?),
                screens: vec![Screen {
                    status,
                    sink: Box::new(Frames(Vec::new())),
                }],
            },
        )?;
        let process = adapter.create_process(&CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
            worker: Some(worker),
            name: None,
        })?;
        let device = adapter.create_device(process)?;
        let context = adapter.create_context(&CreateContext { device, node: 0 })?;
        adapter.set_context_scheduling_properties(&ContextSchedulingProperties {
            context,
            band: PriorityBand::Normal,
            realtime_level: 0,
            in_process_priority: 0,
            quantum: 20_000,
            grace_period_same: 5_000,
            grace_period_lower: 2_500,
        })?;
        let queue = adapter.create_hw_queue(context)?;
        let image = adapter.create_allocation(&CreateAllocation {
            process,
            kind: AllocationKind::Image {
                size: SIZE,
                format: FORMAT,
            },
        })?;
        adapter.build_paging_buffer(&PagingOperation::MapApertureSegment {
            process,
            allocation: image,
            pages: vec![rondo_adapter::ddi::GuestRange {
                addr: 0,
                len: BYTES,
            }],
        })?;
        let source = VidPnSourceId(0);
        adapter.commit_vidpn(&CommitVidPn {
            process,
            source,
            size: SIZE,
            format: FORMAT,
        })?;
        adapter.set_vidpn_source_address(&SetVidPnSourceAddress {
            process,
            source,
            allocation: image,
            surface: Surface {
                size: SIZE,
                format: FORMAT,
                stride: SIZE.width * 4,
                offset: 0,
            },
            rect: Rect::whole(SIZE),
        })?;
        let guest = Arc::new(Self {
            adapter: Arc::downgrade(adapter),
            worker,
            queue,
            image,
            fence: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            waiter: std::sync::Mutex::new(None),
        });
        adapter.set_callbacks(worker, Arc::clone(&guest) as Arc<dyn AdapterCallbacks>)?;
        Ok(guest)
    }

    fn statistics(&self) -> DdiResult<rondo_adapter::ddi::VmStatistics> {
        self.adapter()?.query_statistics(self.worker)
    }

    fn adapter(&self) -> DdiResult<Arc<Adapter>> {
        self.adapter.upgrade().ok_or(NtStatus::DeviceRemoved)
    }

    fn submit(&self) -> DdiResult<()> {
        let allocation = self.image;
        let rect = Rect::whole(SIZE);
        let transfer = GpuCommand::TransferToHost2d {
            allocation,
            rect,
            offset: 0,
        };
        let turn = self.fence.load(Ordering::SeqCst).is_multiple_of(2);
        self.send(if turn {
            transfer
        } else {
            GpuCommand::Present { allocation, rect }
        })
    }

    fn submit_small(&self) -> DdiResult<()> {
        self.send(GpuCommand::TransferToHost2d {
            allocation: self.image,
            rect: Rect {
                x: 0,
                y: 0,
                width: 8,
                height: 8,
            },
            offset: 0,
        })
    }

    fn send(&self, command: GpuCommand) -> DdiResult<()> {
        self.adapter()?.submit_command_to_hw_queue(&SubmitCommand {
            queue: self.queue,
            progress_fence_id: self.fence.fetch_add(1, Ordering::SeqCst) + 1,
            command,
        })
    }
}

impl AdapterCallbacks for Guest {
    fn notify_interrupt(&self, completions: &[Completion]) {
        if self.busy.load(Ordering::SeqCst) {
            for _ in completions {
                // The adapter refuses only when it stops.
                let _ = self.submit();
            }
        } else if let Ok(waiter) = self.waiter.lock()
            && let Some(waiter) = &*waiter
        {
            let _ = waiter.send(());
        }
    }

    fn indicate_child_status(&self) {}
}

/// A screen that nobody looks at.
#[derive(Debug)]
struct Frames(Vec<u8>);

impl FrameSink for Frames {
    fn configure(&mut self, mode: Option<FrameMode>) {
        self.0 = vec![0; if mode.is_some() { BYTES as usize } else { 0 }];
    }

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        (!self.0.is_empty()).then_some(&mut self.0)
    }

    fn present_frame(&mut self, _damage: Rect) {}

    fn set_cursor(&mut self, _image: Option<CursorImage>) {}

    fn move_cursor(&mut self, _x: u32, _y: u32) {}
}
