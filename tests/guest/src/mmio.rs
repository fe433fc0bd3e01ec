// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtio-mmio transport, version 2 (virtio 1.4 section 4.2): registers, feature negotiation, queue set-up, reset.
#![allow(unsafe_code)]

use core::fmt;

use crate::command_line::MmioDevice;

/// Register offsets (virtio 1.4 section 4.2.2).
mod register {
    pub const MAGIC: u64 = 0x000;
    pub const VERSION: u64 = 0x004;
    pub const DEVICE_ID: u64 = 0x008;
    pub const DEVICE_FEATURES: u64 = 0x010;
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_SIZE_MAX: u64 = 0x034;
    pub const QUEUE_SIZE: u64 = 0x038;
    pub const QUEUE_READY: u64 = 0x044;
    pub const QUEUE_NOTIFY: u64 = 0x050;
    pub const INTERRUPT_STATUS: u64 = 0x060;
    pub const INTERRUPT_ACK: u64 = 0x064;
    pub const STATUS: u64 = 0x070;
    pub const QUEUE_DESC: u64 = 0x080;
    pub const QUEUE_DRIVER: u64 = 0x090;
    pub const QUEUE_DEVICE: u64 = 0x0a0;
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    pub const CONFIG: u64 = 0x100;
}

/// "virt", little-endian.
const MAGIC: u32 = 0x7472_6976;

/// Device status bits (virtio 1.4 section 2.1).
pub mod status {
    /// The driver has seen the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// The driver can drive it.
    pub const DRIVER: u32 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u32 = 4;
    /// The negotiated features hold.
    pub const FEATURES_OK: u32 = 8;
    /// The device has failed and wants a reset.
    pub const NEEDS_RESET: u32 = 64;
}

/// How often the status is read before a reset counts as failed.
const RESET_PATIENCE: u32 = 1_000_000;

/// Why a device at an address is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportError {
    /// No virtio-mmio magic there.
    BadMagic(u32),
    /// A legacy device (1), or one from the future.
    BadVersion(u32),
    /// A feature that the driver cannot do without is not offered.
    MissingFeature(u32),
    /// The device did not keep FEATURES_OK.
    FeaturesRefused,
    /// The queue does not exist or is too small.
    NoQueue(u32),
    /// The queue was ready before it was set up.
    QueueInUse(u32),
    /// Status did not become 0.
    ResetStuck,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic(found) => write!(f, "mmio-magic found={found:#x}"),
            Self::BadVersion(found) => write!(f, "mmio-version found={found} wanted=2"),
            Self::MissingFeature(bit) => write!(f, "feature-not-offered bit={bit}"),
            Self::FeaturesRefused => write!(f, "features-refused"),
            Self::NoQueue(index) => write!(f, "no-queue index={index}"),
            Self::QueueInUse(index) => write!(f, "queue-ready-before-setup index={index}"),
            Self::ResetStuck => write!(f, "reset-stuck"),
        }
    }
}

/// Where a queue's three parts lie.
#[derive(Debug, Clone, Copy)]
pub struct QueueAddresses {
    /// The descriptor table.
    pub descriptors: u64,
    /// The available ring.
    pub driver: u64,
    /// The used ring.
    pub device: u64,
}

/// One virtio-mmio device.
#[derive(Debug, Clone, Copy)]
pub struct Transport {
    base: u64,
}

impl Transport {
    /// Looks at a register window: `Ok(None)` when nothing is plugged there (device id 0).
    ///
    /// # Errors
    /// [`TransportError::BadMagic`], [`TransportError::BadVersion`].
    pub fn probe(device: &MmioDevice) -> Result<Option<(Self, u32)>, TransportError> {
        let transport = Self { base: device.base };
        match transport.read(register::MAGIC) {
            MAGIC => {}
            other => return Err(TransportError::BadMagic(other)),
        }
        let id = transport.read(register::DEVICE_ID);
        match transport.read(register::VERSION) {
            _ if id == 0 => Ok(None),
            2 => Ok(Some((transport, id))),
            other => Err(TransportError::BadVersion(other)),
        }
    }

    fn read(self, offset: u64) -> u32 {
        // SAFETY: the command line names a virtio-mmio window here; it is identity mapped and holds no memory of ours.
        unsafe {
            core::ptr::with_exposed_provenance::<u32>((self.base + offset) as usize).read_volatile()
        }
    }

    fn write(self, offset: u64, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>((self.base + offset) as usize)
                .write_volatile(value)
        }
    }

    /// The device status.
    #[must_use]
    pub fn status(self) -> u32 {
        self.read(register::STATUS)
    }

    /// Resets the device and waits until it says so.
    ///
    /// # Errors
    /// [`TransportError::ResetStuck`].
    pub fn reset(self) -> Result<(), TransportError> {
        self.write(register::STATUS, 0);
        for _ in 0..RESET_PATIENCE {
            if self.status() == 0 {
                return Ok(());
            }
            core::hint::spin_loop();
        }
        Err(TransportError::ResetStuck)
    }

    /// The features that the device offers.
    #[must_use]
    pub fn offered_features(self) -> u64 {
        self.write(register::DEVICE_FEATURES_SEL, 0);
        let low = self.read(register::DEVICE_FEATURES);
        self.write(register::DEVICE_FEATURES_SEL, 1);
        u64::from(low) | u64::from(self.read(register::DEVICE_FEATURES)) << 32
    }

    /// Resets the device and takes it to FEATURES_OK with those features of `wanted` that it offers. Returns them.
    ///
    /// # Errors
    /// [`TransportError::MissingFeature`] if a bit of `required` is not offered, [`TransportError::FeaturesRefused`], [`TransportError::ResetStuck`].
    pub fn negotiate(self, required: u64, wanted: u64) -> Result<u64, TransportError> {
        self.reset()?;
        self.write(register::STATUS, status::ACKNOWLEDGE);
        self.write(register::STATUS, status::ACKNOWLEDGE | status::DRIVER);
        let offered = self.offered_features();
        let missing = required & !offered;
        if missing != 0 {
            return Err(TransportError::MissingFeature(missing.trailing_zeros()));
        }
        let chosen = offered & (required | wanted);
        self.write(register::DRIVER_FEATURES_SEL, 0);
        self.write(register::DRIVER_FEATURES, chosen as u32);
        self.write(register::DRIVER_FEATURES_SEL, 1);
        self.write(register::DRIVER_FEATURES, (chosen >> 32) as u32);
        self.write(
            register::STATUS,
            status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK,
        );
        if self.status() & status::FEATURES_OK == 0 {
            return Err(TransportError::FeaturesRefused);
        }
        Ok(chosen)
    }

    /// The largest size of queue `index`.
    ///
    /// # Errors
    /// [`TransportError::QueueInUse`] when it is ready although it was never set up, [`TransportError::NoQueue`].
    pub fn queue_size_max(self, index: u32) -> Result<u32, TransportError> {
        self.write(register::QUEUE_SEL, index);
        if self.read(register::QUEUE_READY) != 0 {
            return Err(TransportError::QueueInUse(index));
        }
        match self.read(register::QUEUE_SIZE_MAX) {
            0..4 => Err(TransportError::NoQueue(index)),
            size => Ok(size),
        }
    }

    /// Sets queue `index` up and makes it ready.
    pub fn enable_queue(self, index: u32, size: u16, at: &QueueAddresses) {
        self.write(register::QUEUE_SEL, index);
        self.write(register::QUEUE_SIZE, u32::from(size));
        for (offset, address) in [
            (register::QUEUE_DESC, at.descriptors),
            (register::QUEUE_DRIVER, at.driver),
            (register::QUEUE_DEVICE, at.device),
        ] {
            self.write(offset, address as u32);
            self.write(offset + 4, (address >> 32) as u32);
        }
        self.write(register::QUEUE_READY, 1);
    }

    /// Tells the device that the driver is ready.
    pub fn driver_ok(self) {
        self.write(
            register::STATUS,
            status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK,
        );
    }

    /// Notifies the device of new buffers in queue `index`.
    pub fn notify(self, index: u32) {
        self.write(register::QUEUE_NOTIFY, index);
    }

    /// Reads and acknowledges the interrupt status.
    #[must_use]
    pub fn take_interrupt_status(self) -> u32 {
        let pending = self.read(register::INTERRUPT_STATUS);
        if pending != 0 {
            self.write(register::INTERRUPT_ACK, pending);
        }
        pending
    }

    /// A 32-bit field of the device's configuration, with its generation checked so that the value is whole.
    #[must_use]
    pub fn config_u32(self, offset: u64) -> u32 {
        loop {
            let before = self.read(register::CONFIG_GENERATION);
            let value = self.read(register::CONFIG + offset);
            if self.read(register::CONFIG_GENERATION) == before {
                return value;
            }
        }
    }

    /// The physical address of the register window.
    #[must_use]
    pub const fn base(self) -> u64 {
        self.base
    }
}
