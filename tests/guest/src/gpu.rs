// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtio-gpu driver: commands one at a time or in flight, fences, cursor. Polled, on [`rondo_protocol`]'s types.

use rondo_protocol::{Command, DisplayInfo, Feature, Request, Response, ScanoutId};

use crate::command_line::Options;
use crate::edid::Edid;
use crate::gpu_error::GpuError;
use crate::memory::{FreeMemory, OutOfMemory};
use crate::mmio::{Transport, status};
use crate::queue::{MAX_SLOTS, Queue, QueueFeatures, RESPONSE_BYTES};
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
