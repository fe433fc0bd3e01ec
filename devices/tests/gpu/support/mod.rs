// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A machine for tests: guest memory, a GPU with one VM, the device behind its MMIO registers, and a driver.

pub mod driver;
pub mod model;
pub mod random;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{DEFAULT_PROFILE, SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::handle::KmdProcessHandle;
use rondo_adapter::recorder::Recorder;
use rondo_devices::bus::BusDevice;
use rondo_devices::display::{ScreenHandle, headless};
use rondo_devices::gpu::{Gpu, GpuConfig};
use rondo_devices::virtio::{VirtioMmio, registers as reg};
use rondo_protocol::{Request, Response, ResponseHeader};
use rondo_renderer::geometry::Size;
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use driver::DriverQueue;
use random::Random;

/// Bytes of guest memory.
pub const GUEST_BYTES: u64 = 16 << 20;
/// Where requests and responses lie, up to the end of memory.
const MESSAGES: u64 = 12 << 20;
/// Where backings may lie; behind them are indirect tables.
pub const BACKINGS: u64 = 1 << 20;
pub const BACKINGS_END: u64 = 8 << 20;

pub type TestDriver = Recorder<dyn VmHost>;

/// What a test chooses.
#[derive(Clone, Debug)]
pub struct RigConfig {
    pub gpu: GpuConfig,
    pub memory_limit: u64,
    /// Feature bits that the driver does not take.
    pub refused_features: u64,
    pub seed: u64,
    /// Whether chains are split at random; else one descriptor for the request, one for the response.
    pub split: bool,
}

impl Default for RigConfig {
    fn default() -> Self {
        Self {
            gpu: GpuConfig {
                scanouts: 2,
                ..GpuConfig::default()
            },
            memory_limit: DEFAULT_PROFILE.memory_limit,
            refused_features: 0,
            seed: 1,
            split: false,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Rig {
    pub memory: VmMemory,
    pub ddi: Arc<TestDriver>,
    pub worker: KmdProcessHandle,
    pub gpu: Arc<Gpu>,
    pub mmio: VirtioMmio,
    pub line: Arc<EventFd>,
    pub screens: Vec<ScreenHandle>,
    pub control: DriverQueue,
    pub cursor: DriverQueue,
    pub random: Random,
    config: RigConfig,
    next_message: u64,
}

/// An answer as the driver finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The used length.
    pub len: u32,
    /// The bytes of the whole response space.
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn decode(&self) -> (ResponseHeader, Response<'_>) {
        Response::decode(&self.bytes[..self.len as usize])
            .unwrap_or_else(|error| panic!("no response in {self:?}: {error}"))
    }

    pub fn response(&self) -> Response<'_> {
        self.decode().1
    }
}

/// A chain on its way: where the response will be.
#[derive(Clone, Debug)]
pub struct Sent {
    pub head: u16,
    pub pieces: Vec<(u64, u32)>,
}

impl Rig {
    /// A machine whose driver has come as far as DRIVER_OK.
    pub fn new(config: RigConfig) -> Self {
        let mut rig = Self::powered_on(config);
        rig.probe();
        rig
    }

    pub fn default() -> Self {
        Self::new(RigConfig::default())
    }

    /// A machine whose guest has not touched the device.
    pub fn powered_on(config: RigConfig) -> Self {
        let memory = GuestMemoryAtomic::new(
            GuestMemoryMmap::from_ranges(&[(GuestAddress(0), GUEST_BYTES as usize)]).unwrap(),
        );
        let gpu = Arc::new(SoftwareGpu::new(SoftwareGpuConfig::default()).unwrap());
        let adapter: Arc<dyn VmHost> = Adapter::start(gpu, &PriorityBands::default()).unwrap();
        let ddi = Arc::new(TestDriver::new(adapter));
        let worker = ddi
            .create_process(&CreateProcess {
                flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
                ..CreateProcess::default()
            })
            .unwrap();
        ddi.set_virtual_machine_data(&SetVirtualMachineData {
            worker,
            vm_guid: Guid([7; 16]),
            flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
        })
        .unwrap();
        ddi.set_virtual_gpu_profile(
            worker,
            &VirtualGpuProfile {
                memory_limit: config.memory_limit,
                ..DEFAULT_PROFILE
            },
        )
        .unwrap();
        let mut screens = Vec::new();
        let mut connected = Vec::new();
        for _ in 0..config.gpu.scanouts {
            let (sink, handle) = headless();
            screens.push(handle);
            connected.push(Screen {
                status: MONITOR,
                sink: Box::new(sink),
            });
        }
        ddi.connect_vm(
            worker,
            VmConnection {
                memory: memory.clone(),
                screens: connected,
            },
        )
        .unwrap();
        let driver: Arc<dyn Ddi> = Arc::clone(&ddi) as Arc<dyn Ddi>;
        let gpu = Gpu::new(config.gpu, driver, worker).unwrap();
        ddi.set_callbacks(worker, gpu.callbacks()).unwrap();
        let line = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
        let mmio = VirtioMmio::new(gpu.clone(), memory.clone(), line.clone()).unwrap();
        Self {
            control: DriverQueue::new(memory.clone(), 0x1000),
            cursor: DriverQueue::new(memory.clone(), 0x8000),
            random: Random::new(config.seed),
            memory,
            ddi,
            worker,
            gpu,
            mmio,
            line,
            screens,
            config,
            next_message: MESSAGES,
        }
    }

    pub fn read32(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.mmio.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub fn write32(&self, offset: u64, value: u32) {
        self.mmio.write(offset, &value.to_le_bytes());
    }

    /// The driver's way from reset to DRIVER_OK, as Linux goes it.
    pub fn probe(&mut self) {
        self.write32(reg::STATUS, 0);
        self.control = DriverQueue::new(self.memory.clone(), 0x1000);
        self.cursor = DriverQueue::new(self.memory.clone(), 0x8000);
        self.write32(reg::STATUS, 1);
        self.write32(reg::STATUS, 3);
        for half in 0..2 {
            self.write32(reg::DEVICE_FEATURES_SEL, half);
            self.write32(reg::DRIVER_FEATURES_SEL, half);
            let refused = (self.config.refused_features >> (32 * half)) as u32;
            let features = self.read32(reg::DEVICE_FEATURES) & !refused;
            self.write32(reg::DRIVER_FEATURES, features);
        }
        self.write32(reg::STATUS, 11);
        assert_eq!(self.read32(reg::STATUS), 11, "FEATURES_OK was refused");
        for (index, base) in [(0, self.control.base()), (1, self.cursor.base())] {
            self.write32(reg::QUEUE_SEL, index);
            assert_eq!(self.read32(reg::QUEUE_SIZE_MAX), 256);
            self.write32(reg::QUEUE_SIZE, u32::from(driver::SIZE));
            let (desc, avail, used) = driver::layout(base);
            for (low, address) in [
                (reg::QUEUE_DESC_LOW, desc),
                (reg::QUEUE_DRIVER_LOW, avail),
                (reg::QUEUE_DEVICE_LOW, used),
            ] {
                self.write32(low, address as u32);
                self.write32(low + 4, (address >> 32) as u32);
            }
            self.write32(reg::QUEUE_READY, 1);
        }
        self.write32(reg::STATUS, 15);
    }

    /// Lets the event loop run as long as there is something for it.
    pub fn run_event_loop(&self) {
        loop {
            let mut woken = false;
            for notifier in self.mmio.notifiers() {
                woken |= notifier.read().is_ok();
            }
            if !woken {
                return;
            }
            self.gpu.service_queues();
        }
    }

    /// Places `len` bytes in guest memory in pieces, at random if the rig splits.
    pub fn place(&mut self, len: usize) -> Vec<(u64, u32)> {
        let mut pieces = Vec::new();
        let mut left = len as u64;
        while left > 0 {
            let piece = if self.config.split && self.random.below(3) > 0 {
                1 + self.random.below(left.min(40))
            } else {
                left
            };
            if self.next_message + piece + 64 > GUEST_BYTES {
                self.next_message = MESSAGES;
            }
            let gap = if self.config.split {
                self.random.below(9)
            } else {
                0
            };
            pieces.push((self.next_message + gap, piece as u32));
            self.next_message += piece + gap;
            left -= piece;
        }
        pieces
    }

    /// Puts bytes and room for a response on a queue, without telling the device.
    pub fn queue_bytes(&mut self, cursor: bool, request: &[u8], room: usize) -> Sent {
        let read = self.place(request.len());
        let write = self.place(room);
        let memory = self.memory.memory();
        let mut at = 0;
        for (addr, len) in &read {
            let piece = &request[at..at + *len as usize];
            memory.write_slice(piece, GuestAddress(*addr)).unwrap();
            at += *len as usize;
        }
        for (addr, len) in &write {
            let stale = vec![0xa5; *len as usize];
            memory.write_slice(&stale, GuestAddress(*addr)).unwrap();
        }
        let chain: Vec<(u64, u32, bool)> = (read.iter().map(|(addr, len)| (*addr, *len, false)))
            .chain(write.iter().map(|(addr, len)| (*addr, *len, true)))
            .collect();
        let indirect = chain.len() > 6 || (self.config.split && self.random.below(2) == 0);
        let queue = if cursor {
            &mut self.cursor
        } else {
            &mut self.control
        };
        let head = queue.push(&chain, indirect);
        Sent {
            head,
            pieces: write,
        }
    }

    /// Puts a request on the control queue, without telling the device.
    pub fn queue(&mut self, request: &Request<'_>) -> Sent {
        let bytes = encode(request);
        self.queue_bytes(false, &bytes, room_for(request))
    }

    /// Puts a request on the cursor queue, without telling the device.
    pub fn queue_cursor(&mut self, request: &Request<'_>) -> Sent {
        let bytes = encode(request);
        self.queue_bytes(true, &bytes, 0)
    }

    pub fn kick(&self) {
        self.write32(reg::QUEUE_NOTIFY, 0);
        self.run_event_loop();
    }

    pub fn kick_cursor(&self) {
        self.write32(reg::QUEUE_NOTIFY, 1);
        self.run_event_loop();
    }

    pub fn answer(&self, sent: &Sent, len: u32) -> Answer {
        let memory = self.memory.memory();
        let mut bytes = Vec::new();
        for (addr, len) in &sent.pieces {
            let mut piece = vec![0; *len as usize];
            memory.read_slice(&mut piece, GuestAddress(*addr)).unwrap();
            bytes.extend(piece);
        }
        Answer { len, bytes }
    }

    /// Waits until the control queue has given back `count` more chains; in the order in which it did.
    pub fn wait(&mut self, count: usize) -> Vec<(u16, u32)> {
        let mut used = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while used.len() < count {
            self.run_event_loop();
            used.extend(self.control.pop_used());
            assert!(
                Instant::now() < deadline,
                "{} of {count} chains came back",
                used.len()
            );
            std::thread::yield_now();
        }
        assert_eq!(used.len(), count, "a chain came back twice");
        used
    }

    /// Waits until the cursor queue has given back `count` more chains, all without a response.
    pub fn wait_cursor(&mut self, count: usize) {
        let mut used = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while used.len() < count {
            self.run_event_loop();
            used.extend(self.cursor.pop_used());
            assert!(
                Instant::now() < deadline,
                "{} of {count} cursor chains came back",
                used.len()
            );
            std::thread::yield_now();
        }
        assert_eq!(used.len(), count, "a cursor chain came back twice");
        assert!(used.iter().all(|(_, len)| *len == 0), "{used:?}");
    }

    /// Sends one request and waits for its answer.
    pub fn send(&mut self, request: &Request<'_>) -> Answer {
        let sent = self.queue(request);
        self.kick();
        self.finish(&sent)
    }

    /// Sends any bytes and waits for the answer.
    pub fn send_bytes(&mut self, request: &[u8], room: usize) -> Answer {
        let sent = self.queue_bytes(false, request, room);
        self.kick();
        self.finish(&sent)
    }

    fn finish(&mut self, sent: &Sent) -> Answer {
        let used = self.wait(1);
        assert_eq!(used[0].0, sent.head);
        self.answer(sent, used[0].1)
    }

    /// Sends one request, which must succeed.
    pub fn ok(&mut self, request: &Request<'_>) {
        let answer = self.send(request);
        assert_eq!(answer.response(), Response::OkNoData, "{request:?}");
    }

    /// Sends a cursor command and checks that it comes back empty.
    pub fn send_cursor(&mut self, request: &Request<'_>) {
        let sent = self.queue_cursor(request);
        self.kick_cursor();
        assert_eq!(self.cursor.pop_used(), [(sent.head, 0)]);
    }

    pub fn write_guest(&self, addr: u64, bytes: &[u8]) {
        let memory = self.memory.memory();
        memory.write_slice(bytes, GuestAddress(addr)).unwrap();
    }

    /// The handle of the display context, for tests that hold its work back.
    pub fn display_context(&self) -> rondo_adapter::handle::ContextHandle {
        let records = self.ddi.records();
        let created = records.iter().rev().find_map(|record| match record.result {
            Ok(rondo_adapter::recorder::Answer::Context(context)) => Some(context),
            _ => None,
        });
        created.expect("no context was created")
    }

    /// The handle of the display context's queue, for tests that tell completions.
    pub fn hw_queue(&self) -> rondo_adapter::handle::HwQueueHandle {
        let records = self.ddi.records();
        let created = records.iter().rev().find_map(|record| match record.result {
            Ok(rondo_adapter::recorder::Answer::HwQueue(queue)) => Some(queue),
            _ => None,
        });
        created.expect("no queue was created")
    }
}

pub const MONITOR: ChildStatus = ChildStatus {
    connected: true,
    size: Size {
        width: 640,
        height: 480,
    },
    position: (0, 0),
};

pub fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = vec![0; request.encoded_len()];
    request.encode(&mut bytes).unwrap();
    bytes
}

/// As much room as a driver gives.
pub fn room_for(request: &Request<'_>) -> usize {
    use rondo_protocol::Command;
    match request.command {
        Command::GetDisplayInfo => 24 + 16 * 24,
        Command::GetEdid { .. } => 24 + 8 + 1024,
        Command::ResourceAssignUuid { .. } => 40,
        _ => 24,
    }
}
