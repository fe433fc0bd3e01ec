// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The MMIO transport, version 2 (virtio 1.4, section 4.2).
//!
//! Control registers take aligned 32-bit accesses, as drivers must use; any other access to them reads as 0 and writes
//! nothing. The configuration space takes every width and offset. Each access returns promptly, a reset excepted: it
//! waits until the device has let go of guest memory, which [`VirtioDevice::reset`] bounds.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::Level;
use virtio_queue::Queue;
use vm_memory::GuestAddressSpace;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::queue_setup::QueueSetup;
use super::registers as reg;
use super::{
    ActivateError, Activation, ActiveQueue, DeviceStatus, Interrupt, MemoryHandle,
    VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1, VirtioDevice,
};
use crate::bus::BusDevice;
use crate::interrupt::InterruptLine;

/// A virtio device in a window of guest-physical memory.
#[derive(Debug)]
pub struct VirtioMmio {
    device: Arc<dyn VirtioDevice>,
    memory: MemoryHandle,
    interrupt: Interrupt,
    notifiers: Vec<Arc<EventFd>>,
    /// A start that the host refused is reported once, not once per attempt.
    start_failed: AtomicBool,
    state: Mutex<State>,
}

/// What the registers hold.
#[derive(Debug)]
struct State {
    status: DeviceStatus,
    driver_features: u64,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
    shm_sel: u32,
    queues: Vec<QueueSetup>,
}

impl VirtioMmio {
    /// Bytes of the window: 256 of registers, 256 of configuration space. QEMU's window has the same size, so one
    /// `virtio_mmio.device=` parameter serves both.
    pub const WINDOW: u64 = 0x200;

    /// Puts `device` behind registers. `line` is its interrupt.
    ///
    /// # Errors
    /// The host has no eventfd left for a queue.
    pub fn new(
        device: Arc<dyn VirtioDevice>,
        memory: MemoryHandle,
        line: Arc<dyn InterruptLine>,
    ) -> io::Result<Self> {
        let sizes = device.queue_sizes();
        let notifiers = sizes
            .iter()
            .map(|_| EventFd::new(EFD_NONBLOCK).map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;
        let queues = sizes.iter().map(|size| QueueSetup::new(*size)).collect();
        Ok(Self {
            device,
            memory,
            interrupt: Interrupt::new(line),
            notifiers,
            start_failed: AtomicBool::new(false),
            state: Mutex::new(State {
                status: DeviceStatus::default(),
                driver_features: 0,
                device_features_sel: 0,
                driver_features_sel: 0,
                queue_sel: 0,
                shm_sel: 0,
                queues,
            }),
        })
    }

    /// The eventfds of the queues, by index. A VMM may let KVM write them (ioeventfd on [`reg::QUEUE_NOTIFY`] with the
    /// queue's index as the value to match), and an event loop reads them.
    #[must_use]
    pub fn notifiers(&self) -> &[Arc<EventFd>] {
        &self.notifiers
    }

    /// What the driver last made of the device status, and DEVICE_NEEDS_RESET.
    #[must_use]
    pub fn device_status(&self) -> DeviceStatus {
        self.status_of(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status_of(&self, state: &State) -> DeviceStatus {
        let needs_reset = if self.interrupt.needs_reset() {
            DeviceStatus::NEEDS_RESET
        } else {
            0
        };
        DeviceStatus(state.status.0 | needs_reset)
    }

    fn read_register(&self, offset: u64) -> u32 {
        match offset {
            reg::MAGIC_VALUE => return reg::MAGIC,
            reg::VERSION => return reg::VERSION_MODERN,
            reg::DEVICE_ID => return self.device.device_type(),
            reg::VENDOR_ID => return reg::VENDOR,
            reg::INTERRUPT_STATUS => return self.interrupt.status(),
            reg::CONFIG_GENERATION => return self.interrupt.generation(),
            _ => {}
        }
        let state = self.lock();
        match offset {
            reg::DEVICE_FEATURES => half(self.device.features(), state.device_features_sel),
            reg::QUEUE_SIZE_MAX => state
                .selected()
                .map_or(0, |queue| u32::from(queue.max_size())),
            reg::QUEUE_READY => state.selected().map_or(0, |queue| u32::from(queue.ready)),
            reg::STATUS => self.status_of(&state).0,
            reg::SHM_LEN_LOW => half(self.shm(&state).0, 0),
            reg::SHM_LEN_HIGH => half(self.shm(&state).0, 1),
            reg::SHM_BASE_LOW => half(self.shm(&state).1, 0),
            reg::SHM_BASE_HIGH => half(self.shm(&state).1, 1),
            // A queue is reset by the time its driver can read this, and the rest is write-only or not there.
            _ => 0,
        }
    }

    /// Length and address of the selected shared memory region.
    fn shm(&self, state: &State) -> (u64, u64) {
        u8::try_from(state.shm_sel)
            .ok()
            .and_then(|id| self.device.shm_region(id))
            .map_or((reg::NO_SHM_REGION, reg::NO_SHM_REGION), |region| {
                (region.len, region.base)
            })
    }

    fn write_register(&self, offset: u64, value: u32) {
        match offset {
            reg::QUEUE_NOTIFY => return self.notify(value),
            reg::INTERRUPT_ACK => return self.interrupt.acknowledge(value),
            _ => {}
        }
        let mut state = self.lock();
        match offset {
            reg::DEVICE_FEATURES_SEL => state.device_features_sel = value,
            reg::DRIVER_FEATURES_SEL => state.driver_features_sel = value,
            reg::DRIVER_FEATURES => state.set_driver_features(value),
            reg::QUEUE_SEL => state.queue_sel = value,
            reg::SHM_SEL => state.shm_sel = value,
            reg::STATUS => self.write_status(&mut state, value),
            reg::QUEUE_READY => self.write_queue_ready(&mut state, value),
            reg::QUEUE_RESET => self.write_queue_reset(&mut state, value),
            reg::QUEUE_SIZE => state.configure(|queue| queue.set_size(value)),
            reg::QUEUE_DESC_LOW => state.configure(|queue| queue.descriptors.low = value),
            reg::QUEUE_DESC_HIGH => state.configure(|queue| queue.descriptors.high = value),
            reg::QUEUE_DRIVER_LOW => state.configure(|queue| queue.driver.low = value),
            reg::QUEUE_DRIVER_HIGH => state.configure(|queue| queue.driver.high = value),
            reg::QUEUE_DEVICE_LOW => state.configure(|queue| queue.device.low = value),
            reg::QUEUE_DEVICE_HIGH => state.configure(|queue| queue.device.high = value),
            _ => log::trace!("write of {value:#x} to register {offset:#x}, which takes none"),
        }
    }

    /// Wakes the event loop. No lock: a vCPU does this for each batch of commands.
    fn notify(&self, index: u32) {
        if let Some(notifier) = usize::try_from(index)
            .ok()
            .and_then(|index| self.notifiers.get(index))
        {
            // A full counter means that it is readable already.
            let _ = notifier.write(1);
        }
    }

    /// Section 3.1.1: the driver's way from reset to DRIVER_OK. Bits cannot be taken back but by a reset.
    fn write_status(&self, state: &mut State, value: u32) {
        if value == 0 {
            self.device.reset();
            self.interrupt.reset();
            state.reset();
            return;
        }
        let new = value & DeviceStatus::OF_DRIVER & !state.status.0;
        state.status.0 |=
            new & (DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FAILED);
        if new & DeviceStatus::FEATURES_OK != 0 && self.features_are_ok(state.driver_features) {
            state.status.0 |= DeviceStatus::FEATURES_OK;
        }
        if new & DeviceStatus::DRIVER_OK != 0
            && state.status.has(DeviceStatus::FEATURES_OK)
            && !state.status.has(DeviceStatus::FAILED)
        {
            state.status.0 |= DeviceStatus::DRIVER_OK;
            self.activate(state);
        }
    }

    /// Section 2.2: a subset of what was offered, with what the device insists on.
    fn features_are_ok(&self, features: u64) -> bool {
        features & !self.device.features() == 0
            && features & VIRTIO_F_VERSION_1 != 0
            && self.device.accepts(features)
    }

    fn activate(&self, state: &mut State) {
        let mut queues = Vec::with_capacity(state.queues.len());
        for (setup, notifier) in state.queues.iter().zip(&self.notifiers) {
            if !setup.ready {
                queues.push(None);
                continue;
            }
            let Some(queue) = self.build_queue(state, setup) else {
                log::debug!("a virtqueue's rings are not aligned or not in guest memory");
                return self.interrupt.signal_needs_reset();
            };
            queues.push(Some(ActiveQueue {
                queue,
                notify: Arc::clone(notifier),
            }));
        }
        let activation = Activation {
            features: state.driver_features,
            queues,
            interrupt: self.interrupt.clone(),
            memory: self.memory.clone(),
        };
        if let Err(error) = self.device.activate(activation) {
            // A driver may try again as often as it likes: its own mistakes are its own, and the host's are told once.
            let told = matches!(error, ActivateError::Host(_))
                && !self.start_failed.swap(true, Ordering::Relaxed);
            let level = if told { Level::Warn } else { Level::Debug };
            log::log!(level, "a virtio device could not be started: {error}");
            return self.interrupt.signal_needs_reset();
        }
        // A notification that came before DRIVER_OK found nobody at home; its buffers are served now.
        for notifier in &self.notifiers {
            let _ = notifier.write(1);
        }
    }

    fn build_queue(&self, state: &State, setup: &QueueSetup) -> Option<Queue> {
        let event_idx = state.driver_features & VIRTIO_F_EVENT_IDX != 0;
        setup.build(&self.memory.memory(), event_idx)
    }

    fn write_queue_ready(&self, state: &mut State, value: u32) {
        let live = state.status.has(DeviceStatus::DRIVER_OK);
        let Some((index, setup)) = state.selected_mut() else {
            return;
        };
        match (value, setup.ready) {
            (0, true) => {
                setup.ready = false;
                if live {
                    self.device.stop_queue(index);
                }
            }
            (1, false) if !live => setup.ready = true,
            (1, false) if state.ring_reset() => self.restart_queue(state, index),
            _ => {}
        }
    }

    /// Section 2.6.1.2: the driver enables a queue again that it has reset.
    fn restart_queue(&self, state: &mut State, index: u16) {
        let Some(setup) = state.selected_mut().map(|(_, setup)| *setup) else {
            return;
        };
        let restarted = self
            .build_queue(state, &setup)
            .zip(self.notifiers.get(usize::from(index)))
            .is_some_and(|(queue, notifier)| {
                let queue = ActiveQueue {
                    queue,
                    notify: Arc::clone(notifier),
                };
                self.device.start_queue(index, queue).is_ok()
            });
        if !restarted {
            return self.interrupt.signal_needs_reset();
        }
        if let Some((_, setup)) = state.selected_mut() {
            setup.ready = true;
        }
        self.notify(u32::from(index));
    }

    fn write_queue_reset(&self, state: &mut State, value: u32) {
        if value == 1
            && state.ring_reset()
            && let Some((index, setup)) = state.selected_mut()
        {
            setup.reset();
            self.device.stop_queue(index);
        }
    }
}

impl State {
    fn reset(&mut self) {
        self.status = DeviceStatus::default();
        self.driver_features = 0;
        self.device_features_sel = 0;
        self.driver_features_sel = 0;
        self.queue_sel = 0;
        self.shm_sel = 0;
        for queue in &mut self.queues {
            queue.reset();
        }
    }

    fn selected(&self) -> Option<&QueueSetup> {
        self.queues.get(usize::try_from(self.queue_sel).ok()?)
    }

    fn selected_mut(&mut self) -> Option<(u16, &mut QueueSetup)> {
        let index = u16::try_from(self.queue_sel).ok()?;
        let setup = self.queues.get_mut(usize::from(index))?;
        Some((index, setup))
    }

    /// Changes the selected queue, which takes changes only while it is not in use.
    fn configure(&mut self, change: impl FnOnce(&mut QueueSetup)) {
        if let Some((_, setup)) = self.selected_mut()
            && !setup.ready
        {
            change(setup);
        }
    }

    /// Features are settled once FEATURES_OK is set.
    fn set_driver_features(&mut self, value: u32) {
        if self.status.has(DeviceStatus::FEATURES_OK) {
            return;
        }
        let value = u64::from(value);
        match self.driver_features_sel {
            0 => self.driver_features = self.driver_features & !u64::from(u32::MAX) | value,
            1 => self.driver_features = self.driver_features & u64::from(u32::MAX) | value << 32,
            _ => {}
        }
    }

    fn ring_reset(&self) -> bool {
        self.status.has(DeviceStatus::DRIVER_OK) && self.driver_features & VIRTIO_F_RING_RESET != 0
    }
}

/// One half of a 64-bit word: 0 the low one, 1 the high one, others are 0.
#[allow(clippy::cast_possible_truncation, reason = "halves are meant")]
const fn half(word: u64, select: u32) -> u32 {
    match select {
        0 => word as u32,
        1 => (word >> 32) as u32,
        _ => 0,
    }
}

impl BusDevice for VirtioMmio {
    fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = offset.checked_sub(reg::CONFIG) {
            self.device.read_config(offset, data);
        } else if let Ok(data) = <&mut [u8; 4]>::try_from(data)
            && offset.is_multiple_of(4)
        {
            *data = self.read_register(offset).to_le_bytes();
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let Some(offset) = offset.checked_sub(reg::CONFIG) {
            self.device.write_config(offset, data);
        } else if let Ok(data) = <[u8; 4]>::try_from(data)
            && offset.is_multiple_of(4)
        {
            self.write_register(offset, u32::from_le_bytes(data));
        }
    }
}
