// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtio-gpu driver: commands one at a time or in flight, fences, cursor. Polled, on [`rondo_protocol`]'s types.

use core::fmt;

use rondo_protocol::{
    Command, DisplayInfo, ErrorCode, Feature, Request, Response, ResponseDecodeError, ScanoutId,
};

use crate::command_line::Options;
use crate::memory::{FreeMemory, OutOfMemory};
use crate::mmio::{Transport, TransportError, status};
use crate::queue::{
    MAX_SLOTS, Queue, QueueFeatures, QueueSetupError, RESPONSE_BYTES, UsedRingError,
};
use crate::tsc::{self, Frequency};

/// virtio device id of a GPU.
pub const GPU_DEVICE_ID: u32 = rondo_protocol::VIRTIO_ID_GPU;
/// VIRTIO_F_VERSION_1.
const VERSION_1: u64 = 1 << 32;
/// VIRTIO_F_INDIRECT_DESC.
const INDIRECT_DESC: u64 = 1 << 28;
/// VIRTIO_F_EVENT_IDX.
const EVENT_IDX: u64 = 1 << 29;

/// Offsets in the configuration (virtio 1.4 section 5.7.4).
const CONFIG_NUM_SCANOUTS: u64 = 8;
const CONFIG_NUM_CAPSETS: u64 = 12;

/// How long a command may take before it counts as lost: long, since the GPU's time is shared.
const PATIENCE_MS: u64 = 30_000;
/// The same in ticks when the frequency is unknown.
const PATIENCE_TICKS: u64 = 100_000_000_000;

/// What went wrong with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuError {
    /// The command line names no virtio-gpu.
    NoDevice {
        /// How many devices were looked at.
        looked_at: usize,
    },
    /// Registers, features, queues.
    Transport(TransportError),
    /// Out of memory.
    Memory(OutOfMemory),
    /// The device broke the rules of the used ring.
    UsedRing(UsedRingError),
    /// The device answered with an error.
    Refused {
        /// The command.
        command: &'static str,
        /// The device's answer.
        error: ErrorCode,
    },
    /// The device's answer is none.
    BadResponse {
        /// The command.
        command: &'static str,
        /// Why.
        error: ResponseDecodeError,
    },
    /// An answer, but to another question.
    WrongResponse {
        /// The command.
        command: &'static str,
        /// The answer.
        response: &'static str,
    },
    /// A fence was not echoed as it was sent.
    WrongFence {
        /// The command.
        command: &'static str,
        /// What was sent.
        sent: Option<u64>,
        /// What came back.
        echoed: Option<u64>,
    },
    /// No answer within the patience.
    Timeout {
        /// Commands in flight.
        in_flight: usize,
        /// The device's status register.
        status: u32,
    },
    /// The device wants a reset.
    NeedsReset,
    /// The option needs a feature that is not offered.
    NotOffered(Feature),
    /// The display has no such size, or there is none.
    NoDisplay,
    /// The option needs a clock whose frequency is known.
    NoClock,
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { looked_at } => write!(f, "no-virtio-gpu looked_at={looked_at}"),
            Self::Transport(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::UsedRing(error) => error.fmt(f),
            Self::Refused { command, error } => {
                write!(f, "refused command={command} response={error}")
            }
            Self::BadResponse { command, error } => {
                write!(f, "bad-response command={command} reason={error:?}")
            }
            Self::WrongResponse { command, response } => {
                write!(f, "wrong-response command={command} response={response}")
            }
            Self::WrongFence {
                command,
                sent,
                echoed,
            } => {
                write!(
                    f,
                    "wrong-fence command={command} sent={sent:?} echoed={echoed:?}"
                )
            }
            Self::Timeout { in_flight, status } => {
                write!(f, "timeout in_flight={in_flight} status={status:#x}")
            }
            Self::NeedsReset => write!(f, "device-needs-reset"),
            Self::NotOffered(feature) => write!(f, "feature-not-offered feature={feature:?}"),
            Self::NoDisplay => write!(f, "no-enabled-display"),
            Self::NoClock => write!(f, "no-tsc-frequency for=seconds,burst_ms,idle_ms"),
        }
    }
}

impl From<TransportError> for GpuError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<OutOfMemory> for GpuError {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

impl From<UsedRingError> for GpuError {
    fn from(error: UsedRingError) -> Self {
        Self::UsedRing(error)
    }
}

impl From<QueueSetupError> for GpuError {
    fn from(error: QueueSetupError) -> Self {
        match error {
            QueueSetupError::Transport(error) => Self::Transport(error),
            QueueSetupError::Memory(error) => Self::Memory(error),
        }
    }
}

/// A command in flight.
#[derive(Debug, Clone, Copy)]
struct Pending {
    name: &'static str,
    fence: Option<u64>,
}

/// A request with more data than a slot holds, encoded somewhere else in memory that stays untouched until the answer.
#[derive(Debug, Clone, Copy)]
pub struct LongRequest {
    /// Address of the first byte.
    pub address: u64,
    /// Bytes.
    pub len: u32,
    /// The command's name, for errors.
    pub name: &'static str,
}

/// A virtio-gpu device with its two queues.
#[derive(Debug)]
pub struct Gpu {
    transport: Transport,
    features: u64,
    control: Queue,
    cursor: Queue,
    pending: [Pending; MAX_SLOTS],
    patience: u64,
    /// Commands per notification.
    batch: u16,
    /// The largest fence that came back.
    completed_fence: u64,
    /// Commands answered.
    completed: u64,
}

impl Gpu {
    /// Resets the device, negotiates, and sets up both queues.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn new(
        transport: Transport,
        options: &Options<'_>,
        clock: Frequency,
        memory: &mut FreeMemory,
    ) -> Result<Self, GpuError> {
        let mut wanted = Feature::Edid.mask() | Feature::ResourceBlob.mask();
        if options.indirect {
            wanted |= INDIRECT_DESC;
        }
        if options.event_idx {
            wanted |= EVENT_IDX;
        }
        let features = transport.negotiate(VERSION_1, wanted)?;
        let queue_features = QueueFeatures {
            indirect: features & INDIRECT_DESC != 0,
            event_idx: features & EVENT_IDX != 0,
        };
        let control = Queue::new(transport, 0, queue_features, memory)?;
        let cursor = Queue::new(transport, 1, queue_features, memory)?;
        transport.driver_ok();
        Ok(Self {
            transport,
            features,
            control,
            cursor,
            pending: [Pending {
                name: "",
                fence: None,
            }; MAX_SLOTS],
            patience: clock.ticks(PATIENCE_MS).unwrap_or(PATIENCE_TICKS),
            batch: u16::try_from(options.batch).unwrap_or(u16::MAX),
            completed_fence: 0,
            completed: 0,
        })
    }

    /// The negotiated features.
    #[must_use]
    pub const fn features(&self) -> u64 {
        self.features
    }

    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The control queue, for reports.
    #[must_use]
    pub const fn control(&self) -> &Queue {
        &self.control
    }

    /// The largest fence that came back.
    #[must_use]
    pub const fn completed_fence(&self) -> u64 {
        self.completed_fence
    }

    /// Commands answered since the set-up.
    #[must_use]
    pub const fn completed(&self) -> u64 {
        self.completed
    }

    /// `num_scanouts` of the configuration.
    #[must_use]
    pub fn scanouts(&self) -> u32 {
        self.transport.config_u32(CONFIG_NUM_SCANOUTS)
    }

    /// `num_capsets` of the configuration.
    #[must_use]
    pub fn capsets(&self) -> u32 {
        self.transport.config_u32(CONFIG_NUM_CAPSETS)
    }

    /// Submits a command without waiting; notifies the device once a batch is full. Waits only when no slot is free.
    ///
    /// # Errors
    /// [`GpuError`], of this command or an earlier one.
    pub fn submit(&mut self, command: Command<'_>, fence: Option<u64>) -> Result<(), GpuError> {
        let slot = loop {
            if let Some(slot) = self.control.take_slot() {
                break slot;
            }
            self.control.notify(self.transport);
            self.wait_for_one()?;
        };
        let name = command.name();
        let mut request = Request::new(command);
        request.header.fence = fence;
        let buffer = self.control.request(slot);
        // Only the long commands could not fit, and those go through `call_long`.
        let len = request.encode(buffer).map_err(|_| {
            GpuError::Memory(OutOfMemory {
                wanted: request.encoded_len() as u64,
                left: 0,
            })
        })?;
        self.pending[slot.index()] = Pending { name, fence };
        let address = self.control.request_address(slot);
        self.control
            .submit(slot, address, len as u32, RESPONSE_BYTES);
        if self.control.unnotified() >= self.batch {
            self.control.notify(self.transport);
        }
        Ok(())
    }

    /// Notifies the device of what a batch has not filled.
    pub fn notify(&mut self) {
        self.control.notify(self.transport);
    }

    /// Takes every answer that is there.
    ///
    /// # Errors
    /// [`GpuError`] of the first that is not a success.
    pub fn poll(&mut self) -> Result<(), GpuError> {
        while self.poll_one(|_| ())?.is_some() {}
        Ok(())
    }

    /// Takes one answer, if there is one, and looks at it.
    fn poll_one<R>(
        &mut self,
        look: impl FnOnce(&Response<'_>) -> R,
    ) -> Result<Option<R>, GpuError> {
        let Some((slot, len)) = self.control.poll()? else {
            return Ok(None);
        };
        let pending = self.pending[slot.index()];
        let bytes = self.control.response(slot, len);
        let (header, response) =
            Response::decode(bytes).map_err(|error| GpuError::BadResponse {
                command: pending.name,
                error,
            })?;
        if header.fence != pending.fence {
            return Err(GpuError::WrongFence {
                command: pending.name,
                sent: pending.fence,
                echoed: header.fence,
            });
        }
        if let Response::Err(error) = response {
            return Err(GpuError::Refused {
                command: pending.name,
                error,
            });
        }
        let looked = look(&response);
        self.completed_fence = self.completed_fence.max(header.fence.unwrap_or(0));
        self.completed += 1;
        self.control.give_slot(slot);
        Ok(Some(looked))
    }

    /// Waits until `done` says so, taking answers meanwhile.
    ///
    /// # Errors
    /// [`GpuError`] of an answer, or [`GpuError::Timeout`].
    pub fn wait_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), GpuError> {
        self.notify();
        let mut start = tsc::now();
        let mut seen = self.completed;
        loop {
            self.poll()?;
            if done(self) {
                return Ok(());
            }
            if seen != self.completed {
                (seen, start) = (self.completed, tsc::now());
            }
            self.check_patience(start)?;
            core::hint::spin_loop();
        }
    }

    /// Waits until everything that was submitted is answered.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub fn wait_for_all(&mut self) -> Result<(), GpuError> {
        self.wait_until(|gpu| gpu.control.in_flight() == 0)
    }

    fn wait_for_one(&mut self) -> Result<(), GpuError> {
        let before = self.completed;
        self.wait_until(|gpu| gpu.completed != before)
    }

    /// Sends a command, waits for its answer and looks at it. Nothing else may be in flight.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn call<R>(
        &mut self,
        command: Command<'_>,
        look: impl FnOnce(&Response<'_>) -> R,
    ) -> Result<R, GpuError> {
        self.submit(command, None)?;
        self.wait_and_look(look)
    }

    /// Sends a request that was encoded elsewhere and waits for its success. Nothing else may be in flight.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn call_long(&mut self, request: LongRequest) -> Result<(), GpuError> {
        let Some(slot) = self.control.take_slot() else {
            return Err(GpuError::Timeout {
                in_flight: self.control.in_flight(),
                status: self.transport.status(),
            });
        };
        self.pending[slot.index()] = Pending {
            name: request.name,
            fence: None,
        };
        self.control
            .submit(slot, request.address, request.len, RESPONSE_BYTES);
        self.wait_and_look(|_| ())
    }

    fn wait_and_look<R>(&mut self, look: impl FnOnce(&Response<'_>) -> R) -> Result<R, GpuError> {
        self.notify();
        let start = tsc::now();
        let mut look = Some(look);
        loop {
            let answer = self.poll_one(|response| look.take().map(|look| look(response)))?;
            if let Some(Some(result)) = answer {
                return Ok(result);
            }
            self.check_patience(start)?;
            core::hint::spin_loop();
        }
    }

    fn check_patience(&self, since: u64) -> Result<(), GpuError> {
        if tsc::now().wrapping_sub(since) < self.patience {
            return Ok(());
        }
        match self.transport.status() {
            status if status & status::NEEDS_RESET != 0 => Err(GpuError::NeedsReset),
            status => Err(GpuError::Timeout {
                in_flight: self.control.in_flight(),
                status,
            }),
        }
    }

    /// Sends a command on the cursor queue, which has no answers, and waits until the device has taken it.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn cursor_command(&mut self, command: Command<'_>) -> Result<(), GpuError> {
        let start = tsc::now();
        let slot = loop {
            while let Some((slot, _)) = self.cursor.poll()? {
                self.cursor.give_slot(slot);
            }
            if let Some(slot) = self.cursor.take_slot() {
                break slot;
            }
            self.check_patience(start)?;
            core::hint::spin_loop();
        };
        let request = Request::new(command);
        let buffer = self.cursor.request(slot);
        let len = request.encode(buffer).map_err(|_| {
            GpuError::Memory(OutOfMemory {
                wanted: request.encoded_len() as u64,
                left: 0,
            })
        })?;
        let address = self.cursor.request_address(slot);
        self.cursor.submit(slot, address, len as u32, 0);
        self.cursor.notify(self.transport);
        Ok(())
    }

    /// GET_DISPLAY_INFO.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn display_info(&mut self) -> Result<DisplayInfo, GpuError> {
        let command = Command::GetDisplayInfo;
        self.call(command, |response| match response {
            Response::OkDisplayInfo(info) => Ok(*info),
            other => Err(GpuError::WrongResponse {
                command: command.name(),
                response: other.name(),
            }),
        })?
    }

    /// GET_EDID: what [`Edid`] keeps of it.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn edid(&mut self, scanout: ScanoutId) -> Result<Edid, GpuError> {
        let command = Command::GetEdid { scanout };
        self.call(command, |response| match response {
            Response::OkEdid(bytes) => Ok(Edid::read(bytes)),
            other => Err(GpuError::WrongResponse {
                command: command.name(),
                response: other.name(),
            }),
        })?
    }
}

/// What the guest looks at in an EDID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edid {
    /// Bytes.
    pub len: usize,
    /// The header is right and each 128-byte block sums to zero.
    pub valid: bool,
    /// The first detailed timing's size in pixels.
    pub preferred: (u32, u32),
}

impl Edid {
    const HEADER: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];

    /// Reads an EDID (VESA E-EDID 1.4, sections 3.1 and 3.10.2).
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let sums = bytes.chunks(128).all(|block| {
            block
                .iter()
                .fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
                == 0
        });
        let valid = bytes.len() >= 128
            && bytes.len().is_multiple_of(128)
            && bytes.starts_with(&Self::HEADER)
            && sums;
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
        // Detailed timing at 54: low 8 bits at +2 and +5, high 4 bits in the upper halves of +4 and +7.
        let preferred = (
            byte(56) | (byte(58) & 0xf0) << 4,
            byte(59) | (byte(61) & 0xf0) << 4,
        );
        Self {
            len: bytes.len(),
            valid,
            preferred,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_edid_its_preferred_size_is_read_and_a_bad_sum_is_seen() {
        let mut bytes = [0_u8; 128];
        bytes[..8].copy_from_slice(&Edid::HEADER);
        (bytes[56], bytes[58], bytes[59], bytes[61]) = (0x00, 0x50, 0x20, 0x30);
        bytes[127] = bytes
            .iter()
            .fold(0, |sum: u8, &byte| sum.wrapping_sub(byte));
        assert_eq!(
            Edid::read(&bytes),
            Edid {
                len: 128,
                valid: true,
                preferred: (1280, 800)
            }
        );
        bytes[100] ^= 1;
        assert!(!Edid::read(&bytes).valid);
        assert!(!Edid::read(&[]).valid);
    }
}
