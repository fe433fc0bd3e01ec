// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How another rust-vmm VMM takes the GPU: everything but KVM, which is three lines of the VMM's own (see the comments).
//!
//! `cargo run -p rondo-devices --example adopt` plays a guest that reads the first registers, and writes what is on the
//! screen to `adopt.png` if there is anything.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex};

use event_manager::{EventManager, SubscriberOps};
use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::{
    ChildStatus, CreateProcess, CreateProcessFlags, Ddi, Guid, PriorityBands, Screen,
    SetVirtualMachineData, VirtualMachineDataFlags, VmConnection, VmHost,
};
use rondo_adapter::gpu::{DEFAULT_PROFILE, SoftwareGpu, SoftwareGpuConfig};
use rondo_devices::bus::BusDevice;
use rondo_devices::display::{CaptureError, headless, write_png};
use rondo_devices::gpu::{Gpu, GpuConfig, GpuEvents};
use rondo_devices::virtio::{VirtioMmio, registers};
use rondo_renderer::geometry::Size;
use vm_memory::{GuestAddress, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Where the VMM puts the device in guest-physical memory.
const BASE: u64 = 0xd000_0000;

fn main() -> Result<(), Box<dyn Error>> {
    // 1. Once a host: a GPU and the adapter in front of it. All VMs share it.
    let gpu = Arc::new(SoftwareGpu::new(SoftwareGpuConfig::default())?);
    let adapter: Arc<dyn VmHost> = Adapter::start(gpu, &PriorityBands::default())?;

    // 2. Once a VM: who it is, its share, its memory and its screens.
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::from_ranges(&[(
        GuestAddress(0),
        64 << 20,
    )])?);
    let worker = adapter.create_process(&CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
        ..CreateProcess::default()
    })?;
    adapter.set_virtual_machine_data(&SetVirtualMachineData {
        worker,
        vm_guid: Guid(*b"\x5f\x0d\x1e\x6a\x33\x91\x4c\x0b\x8f\x2e\x11\x7a\x90\x44\xd2\x01"),
        flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
    })?;
    adapter.set_virtual_gpu_profile(worker, &DEFAULT_PROFILE)?;
    let (sink, screen) = headless();
    let connection = VmConnection {
        memory: memory.clone(),
        screens: vec![Screen {
            status: ChildStatus {
                connected: true,
                size: Size {
                    width: 1280,
                    height: 800,
                },
                position: (0, 0),
            },
            sink: Box::new(sink),
        }],
    };
    adapter.connect_vm(worker, connection)?;

    // 3. The device, its transport and its place on the event loop. `line` goes to KVM_IRQFD.
    let driver: Arc<dyn Ddi> = Arc::clone(&adapter) as Arc<dyn Ddi>;
    let device = Gpu::new(GpuConfig::default(), driver, worker)?;
    adapter.set_callbacks(worker, device.callbacks())?;
    let line = Arc::new(EventFd::new(EFD_NONBLOCK)?);
    let mmio = Arc::new(VirtioMmio::new(device.clone(), memory, line)?);
    // Each of `mmio.notifiers()` goes to KVM_IOEVENTFD at BASE + registers::QUEUE_NOTIFY, matching its index.
    let events = GpuEvents::new(device, mmio.notifiers()).ok_or("a GPU has two queues")?;
    let mut event_loop = EventManager::<Arc<Mutex<GpuEvents>>>::new()?;
    event_loop.add_subscriber(Arc::new(Mutex::new(events)));

    // 4. vCPU exits with an address in BASE..BASE + WINDOW go to the device, with the offset; the loop runs on a thread.
    let window = BASE..BASE + VirtioMmio::WINDOW;
    let mut id = [0; 4];
    mmio.read(registers::DEVICE_ID, &mut id);
    println!(
        "a virtio device of type {} at {window:#x?}",
        u32::from_le_bytes(id)
    );
    event_loop.run_with_timeout(0)?;

    // 5. Any time, from any thread: what is on the screen.
    match screen.capture() {
        Ok(picture) => write_png(&picture, Path::new("adopt.png"))?,
        Err(CaptureError::Off) => println!("the screen is off: no guest has lit it"),
        Err(error) => return Err(error.into()),
    }

    // 6. The VM's end: the guest's objects first, its identity last.
    mmio.write(registers::STATUS, &0_u32.to_le_bytes());
    adapter.destroy_process(worker)?;
    Ok(())
}
