// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The arguments and results of the driver interface: plain data.

use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::FrameSink;
use rondo_renderer::geometry::{Rect, Size};
use rondo_scheduler::{Mode, Nanos, Ppm, Priority};
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::status::NtStatus;

/// A VM's memory, as the host maps it.
pub type VmMemory = GuestMemoryAtomic<GuestMemoryMmap>;

pub use crate::guid::Guid;

/// What `query_adapter_info` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterCaps {
    /// Memory isolation good enough for a secure VM.
    pub isolation: bool,
    /// Number of nodes (engines).
    pub nodes: u16,
}

/// `DXGKARG_SETUPPRIORITYBANDS`, indexed IDLE 0, NORMAL 1, FOCUS 2, REALTIME 3; units of 100 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityBands {
    /// Grace given to the victim when this band preempts another one.
    pub grace_period: [u64; 4],
    /// Default quantum between processes of the band.
    pub process_quantum: [u64; 4],
    /// Grace between processes of the band that preempt each other.
    pub process_grace_period: [u64; 4],
    /// What NORMAL gets while FOCUS would starve it, in percent, `0..=50`.
    pub target_normal_band_percentage: u32,
}

/// `DXGK_CREATEPROCESSFLAGS`, WDDM's bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreateProcessFlags(pub u32);

impl CreateProcessFlags {
    /// A process of the operating system.
    pub const SYSTEM_PROCESS: u32 = 0x1;
    /// A process that draws with GDI.
    pub const GDI_PROCESS: u32 = 0x2;
    /// The host's stand-in for one guest process.
    pub const VIRTUAL_MACHINE_PROCESS: u32 = 0x4;
    /// The host's stand-in for one VM; it owns nothing and renders nothing.
    pub const VIRTUAL_MACHINE_WORKER_PROCESS: u32 = 0x8;
    /// A container with an own session.
    pub const SESSION_ISOLATED_CONTAINER: u32 = 0x10;
}

/// `DXGKARG_CREATEPROCESS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateProcess {
    /// What kind of process.
    pub flags: CreateProcessFlags,
    /// The VM it belongs to; for a VM process only.
    pub worker: Option<KmdProcessHandle>,
    /// Its name, for debugging only; bounded by [`CreateProcess::MAX_NAME`] bytes, longer ones are cut.
    pub name: Option<String>,
}

impl CreateProcess {
    /// Longest name that is kept, in bytes.
    pub const MAX_NAME: usize = 64;
}

/// `DXGK_VIRTUALMACHINEDATAFLAGS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtualMachineDataFlags(pub u32);

impl VirtualMachineDataFlags {
    /// The VM runs in secure mode.
    pub const SECURE: u32 = 0x1;
    /// The guest is Linux.
    pub const LINUX: u32 = 0x2;
}

/// `DXGKARG_SETVIRTUALMACHINEDATA`: the same three fields, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetVirtualMachineData {
    /// The VM's worker process.
    pub worker: KmdProcessHandle,
    /// Identifies the VM uniquely. Supplied by the host; no guest byte ever reaches it.
    pub vm_guid: Guid,
    /// Secure, Linux.
    pub flags: VirtualMachineDataFlags,
}

/// A VM's share of the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualGpuProfile {
    /// Server (a slice of its own) or client (one more process of the host).
    pub mode: Mode,
    /// The part of an engine that it gets whenever it has work.
    pub guarantee: Ppm,
    /// The part that it never exceeds; `None`: unused time of others is lent to it.
    pub limit: Option<Ppm>,
    /// How long it keeps the engine before an equal claim is preferred.
    pub slice: Nanos,
    /// Longest unit, if declared.
    pub max_unit: Option<Nanos>,
    /// How long it may go on within its slice when a VM with a better claim asks for the engine.
    pub grace: Nanos,
    /// What a unit may take before it counts as hung and its context is lost. Units of the software GPU are bounded, but a host
    /// that gives their thread no core for so long looks the same.
    pub hang_timeout: Nanos,
    /// Who gets time that is lent first. It moves nobody's guarantee.
    pub priority: Priority,
    /// Bytes of host memory that its images, tables, cursors and pending commands may take.
    pub memory_limit: u64,
}

/// `DXGKARG_CREATECONTEXT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateContext {
    /// The device that owns it.
    pub device: DeviceHandle,
    /// The node it runs on.
    pub node: u16,
}

/// `DXGK_SCHEDULING_PRIORITY_BAND`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityBand {
    /// Runs only when all others are idle.
    Idle = 0,
    /// Ordinary work.
    #[default]
    Normal = 1,
    /// The application in the foreground.
    Focus = 2,
    /// Runs without delay.
    Realtime = 3,
}

/// `DXGKARG_SETCONTEXTSCHEDULINGPROPERTIES`; times in units of 100 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextSchedulingProperties {
    /// The context.
    pub context: ContextHandle,
    /// Its band. FOCUS and REALTIME need a privilege that guests do not hold.
    pub band: PriorityBand,
    /// Level in the REALTIME band, `0..=31`; ignored in others.
    pub realtime_level: i32,
    /// Priority among contexts of the same process, `-7..=7`.
    pub in_process_priority: i32,
    /// Quantum among contexts of the same priority.
    pub quantum: u64,
    /// Grace when it preempts a context of the same priority.
    pub grace_period_same: u64,
    /// Grace when it preempts a context of lower priority.
    pub grace_period_lower: u64,
}

/// What `suspend_context` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspension {
    /// STATUS_SUCCESS: it was suspended already.
    Already,
    /// STATUS_PENDING: a completion with the fence follows.
    Pending,
}

/// `DXGKARG_SUBMITCOMMANDTOHWQUEUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitCommand {
    /// The queue.
    pub queue: HwQueueHandle,
    /// The value that the queue's progress fence takes when this command is complete; strictly increasing in a queue.
    pub progress_fence_id: u64,
    /// What to do.
    pub command: GpuCommand,
}

/// Work that takes GPU time and is charged to its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuCommand {
    /// Copy a rectangle of an image from its guest backing (`TRANSFER_TO_HOST_2D`).
    TransferToHost2d {
        /// The image.
        allocation: AllocationHandle,
        /// Inside the image.
        rect: Rect,
        /// Where in the backing the rectangle's first row starts; rows are the image's width apart.
        offset: u64,
    },
    /// Show a rectangle of an allocation on each source that displays it (`RESOURCE_FLUSH`).
    Present {
        /// The allocation.
        allocation: AllocationHandle,
        /// In the allocation's pixels.
        rect: Rect,
    },
}

/// `DXGKARG_CREATEALLOCATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateAllocation {
    /// The VM process that owns it.
    pub process: KmdProcessHandle,
    /// What it is.
    pub kind: AllocationKind,
}

/// What an allocation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationKind {
    /// An image in host memory, all zero at first (`RESOURCE_CREATE_2D`).
    Image {
        /// Pixels.
        size: Size,
        /// Order of bytes.
        format: PixelFormat,
    },
    /// Existing guest memory, read in place (`RESOURCE_CREATE_BLOB` with `BLOB_MEM_GUEST`).
    GuestBlob {
        /// Bytes.
        size: u64,
    },
}

/// A piece of guest-physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRange {
    /// Guest-physical address.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
}

/// `DXGKARG_BUILDPAGINGBUFFER`, the operations we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagingOperation {
    /// `MAP_APERTURE_SEGMENT`: these pages back the allocation, in this order. Each must lie inside guest memory.
    MapApertureSegment {
        /// The process that owns the allocation.
        process: KmdProcessHandle,
        /// The allocation; it has no backing yet.
        allocation: AllocationHandle,
        /// The pages.
        pages: Vec<GuestRange>,
    },
    /// `UNMAP_APERTURE_SEGMENT`: it has none any more. When the call returns, nothing refers to them, but for a unit
    /// that was lost in a hang, which may still read them.
    UnmapApertureSegment {
        /// The process that owns the allocation.
        process: KmdProcessHandle,
        /// The allocation.
        allocation: AllocationHandle,
    },
}

/// A scanout, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VidPnSourceId(pub u32);

/// A monitor's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildStatus {
    /// Whether a monitor is plugged in.
    pub connected: bool,
    /// Its preferred mode.
    pub size: Size,
    /// Where it stands on the desktop, in pixels from the left and the top.
    pub position: (u32, u32),
}

/// `DXGKARG_COMMITVIDPN` for one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitVidPn {
    /// The display process.
    pub process: KmdProcessHandle,
    /// The source.
    pub source: VidPnSourceId,
    /// The size of its frames.
    pub size: Size,
    /// The order of bytes of its frames.
    pub format: PixelFormat,
}

/// `DXGKARG_SETVIDPNSOURCEADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetVidPnSourceAddress {
    /// The display process.
    pub process: KmdProcessHandle,
    /// The source.
    pub source: VidPnSourceId,
    /// What it shows.
    pub allocation: AllocationHandle,
    /// Which pixels of it: the allocation as a surface of this shape.
    pub surface: Surface,
    /// The part of the surface that the source shows; its size is the source's mode.
    pub rect: Rect,
}

/// How pixels lie in an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Pixels.
    pub size: Size,
    /// Order of bytes.
    pub format: PixelFormat,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Where the first row starts, in bytes.
    pub offset: u32,
}

/// `DXGKARG_SETPOINTERSHAPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetPointerShape {
    /// The display process.
    pub process: KmdProcessHandle,
    /// The source.
    pub source: VidPnSourceId,
    /// A 64 x 64 image or blob, or `None` to hide the pointer.
    pub allocation: Option<AllocationHandle>,
    /// Hot spot, pixels from the left.
    pub hot_x: u32,
    /// Hot spot, pixels from the top.
    pub hot_y: u32,
}

/// `DXGKARG_SETPOINTERPOSITION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetPointerPosition {
    /// The display process.
    pub process: KmdProcessHandle,
    /// The source.
    pub source: VidPnSourceId,
    /// Pixels from the left.
    pub x: u32,
    /// Pixels from the top.
    pub y: u32,
}

/// Why a context was lost (`DXGKARGCB_INVALIDATEHWCONTEXT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Its own unit hung.
    Guilty,
    /// It was hit by the reset of another one (`CollateralDamage`). The software GPU never does that.
    Collateral,
}

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The queue.
    pub queue: HwQueueHandle,
    /// The command's progress fence.
    pub progress_fence_id: u64,
    /// How it ended.
    pub status: Result<(), NtStatus>,
}

/// What a VM has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmStatistics {
    /// GPU time charged.
    pub gpu: Nanos,
    /// Units run.
    pub units: u64,
    /// Commands completed on hardware queues.
    pub commands: u64,
    /// Presents that reached a screen.
    pub frames: u64,
    /// The longest unit.
    pub longest_unit: Nanos,
    /// The longest wait from having work to being granted the engine.
    pub longest_wait: Nanos,
    /// All waits together, those that a grant has ended: with the time charged, how long the VM wanted the GPU.
    pub waited: Nanos,
    /// GPU nanoseconds that it is owed (positive: it has work and is behind its guarantee) or owes (negative: others
    /// come first until it is paid back).
    pub lag: i64,
    /// What of the GPU time ran on engines that had nothing to do, not on the VM's home: a loan, which no claim is held
    /// against.
    pub borrowed: Nanos,
    /// The engine where its guarantee is.
    pub home: u16,
    /// How often a unit of it outlived the hang timeout, so that its context was lost.
    pub resets: u64,
    /// Whether it has hung too often and gets no GPU time until it is pardoned.
    pub quarantined: bool,
    /// Bytes of host memory accounted now.
    pub memory: u64,
    /// When the first frame was presented, on the driver's clock (monotonic, nanoseconds since the adapter started).
    pub first_frame: Option<Nanos>,
}

/// A context and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextOwner {
    /// The context.
    pub context: ContextHandle,
    /// The VM process that has it.
    pub process: KmdProcessHandle,
    /// The process' name, as [`CreateProcess::name`] gave it.
    pub process_name: Option<String>,
}

/// What the driver needs of the host for one VM.
#[derive(Debug)]
pub struct VmConnection {
    /// The VM's memory.
    pub memory: VmMemory,
    /// One screen per source, 1 to 16.
    pub screens: Vec<Screen>,
}

/// A monitor and the place where its pictures go.
#[derive(Debug)]
pub struct Screen {
    /// Whether it is plugged in, and its mode.
    pub status: ChildStatus,
    /// Where its pictures go. It must not call the driver.
    pub sink: Box<dyn FrameSink>,
}
