// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Offsets of the MMIO registers (virtio 1.4, section 4.2.2) and their constants.

/// R: [`MAGIC`].
pub const MAGIC_VALUE: u64 = 0x000;
/// R: [`VERSION_MODERN`].
pub const VERSION: u64 = 0x004;
/// R: the device's type.
pub const DEVICE_ID: u64 = 0x008;
/// R: [`VENDOR`].
pub const VENDOR_ID: u64 = 0x00c;
/// R: 32 bits of the device's features.
pub const DEVICE_FEATURES: u64 = 0x010;
/// W: which 32 bits.
pub const DEVICE_FEATURES_SEL: u64 = 0x014;
/// W: 32 bits of the features that the driver takes.
pub const DRIVER_FEATURES: u64 = 0x020;
/// W: which 32 bits.
pub const DRIVER_FEATURES_SEL: u64 = 0x024;
/// W: the queue that the queue registers are about.
pub const QUEUE_SEL: u64 = 0x030;
/// R: its largest size, 0 if there is no such queue.
pub const QUEUE_SIZE_MAX: u64 = 0x034;
/// W: its size.
pub const QUEUE_SIZE: u64 = 0x038;
/// RW: whether it is in use.
pub const QUEUE_READY: u64 = 0x044;
/// W: the index of a queue with new buffers.
pub const QUEUE_NOTIFY: u64 = 0x050;
/// R: pending interrupts.
pub const INTERRUPT_STATUS: u64 = 0x060;
/// W: interrupts that were handled.
pub const INTERRUPT_ACK: u64 = 0x064;
/// RW: device status; writing 0 resets.
pub const STATUS: u64 = 0x070;
/// W: descriptor table, low half; the high half follows.
pub const QUEUE_DESC_LOW: u64 = 0x080;
/// W: descriptor table, high half.
pub const QUEUE_DESC_HIGH: u64 = 0x084;
/// W: available ring, low half.
pub const QUEUE_DRIVER_LOW: u64 = 0x090;
/// W: available ring, high half.
pub const QUEUE_DRIVER_HIGH: u64 = 0x094;
/// W: used ring, low half.
pub const QUEUE_DEVICE_LOW: u64 = 0x0a0;
/// W: used ring, high half.
pub const QUEUE_DEVICE_HIGH: u64 = 0x0a4;
/// W: the shared memory region that the registers below are about.
pub const SHM_SEL: u64 = 0x0ac;
/// R: its length, low half; all ones if there is no such region.
pub const SHM_LEN_LOW: u64 = 0x0b0;
/// R: its length, high half.
pub const SHM_LEN_HIGH: u64 = 0x0b4;
/// R: its address, low half.
pub const SHM_BASE_LOW: u64 = 0x0b8;
/// R: its address, high half.
pub const SHM_BASE_HIGH: u64 = 0x0bc;
/// RW: reset of the selected queue, if `VIRTIO_F_RING_RESET` was negotiated.
pub const QUEUE_RESET: u64 = 0x0c0;
/// R: counts changes of the configuration.
pub const CONFIG_GENERATION: u64 = 0x0fc;
/// Where the device's configuration space begins.
pub const CONFIG: u64 = 0x100;

/// "virt", little-endian.
pub const MAGIC: u32 = 0x7472_6976;
/// Version 2: not the legacy interface.
pub const VERSION_MODERN: u32 = 2;
/// "RNDO", little-endian. The specification gives vendor ids no registry.
pub const VENDOR: u32 = 0x4f44_4e52;
/// Length and address of a shared memory region that does not exist.
pub const NO_SHM_REGION: u64 = u64::MAX;
