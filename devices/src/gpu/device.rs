// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device: what the transport, the event loop and the driver see of it.
//!
//! # Threads and locks
//! The event loop serves the queues, vCPU threads read the configuration and reset, the driver's threads report
//! completions and hot-plug. One mutex holds the device's state. The device calls the driver with that mutex held; the
//! driver calls back with no lock of its own held ([`AdapterCallbacks`]), so a callback may wait for the mutex. The
//! teardown at a reset, where the driver waits for its threads, runs after the state was taken out of the mutex: a
//! completion that comes late finds no session, or a younger one whose hardware queue has another handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rondo_adapter::ddi::{AdapterCallbacks, Completion, Ddi};
use rondo_adapter::handle::KmdProcessHandle;
use rondo_protocol::{EVENT_DISPLAY, VIRTIO_ID_GPU};

use super::config::{ConfigError, GpuConfig, events_cleared, place};
use super::display_events::DisplayEvents;
use super::limits::QUEUE_SIZE;
use super::session::Session;
use super::translate::{Translator, TranslatorConfig};
use crate::virtio::{ActivateError, Activation, VirtioDevice};

/// Control queue and cursor queue.
const QUEUE_SIZES: [u16; 2] = [QUEUE_SIZE; 2];

/// A virtio-gpu.
#[derive(Debug)]
pub struct Gpu {
    config: GpuConfig,
    ddi: Arc<dyn Ddi>,
    worker: KmdProcessHandle,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: DisplayEvents,
    session: Option<Session>,
}

impl Gpu {
    /// A device for the VM of `worker`, whose identity, share and connection the VMM has set with the driver.
    ///
    /// # Errors
    /// A choice in `config` is impossible.
    pub fn new(
        config: GpuConfig,
        ddi: Arc<dyn Ddi>,
        worker: KmdProcessHandle,
    ) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        Ok(Arc::new(Self {
            config,
            ddi,
            worker,
            state: Mutex::default(),
        }))
    }

    /// What the VMM gives the driver (`VmHost::set_callbacks`). It does not keep the device alive, so device and driver
    /// may refer to each other.
    #[must_use]
    pub fn callbacks(self: &Arc<Self>) -> Arc<dyn AdapterCallbacks> {
        Arc::new(Callbacks {
            gpu: Arc::downgrade(self),
        })
    }

    /// Serves both queues for one turn of at most [`DRAIN_BUDGET`](super::limits::DRAIN_BUDGET) commands, and wakes the
    /// event loop for another one if that was not all. For event loops other than event-manager's.
    pub fn service_queues(&self) {
        let mut state = self.lock();
        let State { events, session } = &mut *state;
        if let Some(session) = session {
            session.service(events);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Gpu {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_GPU
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    fn features(&self) -> u64 {
        self.config.features()
    }

    fn accepts(&self, features: u64) -> bool {
        GpuConfig::accepts(features)
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let space = self.config.space(self.lock().events.pending());
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = place(offset, index)
                .and_then(|place| space.get(place))
                .copied()
                .unwrap_or(0);
        }
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        if events_cleared(offset, data) & EVENT_DISPLAY == 0 {
            return;
        }
        let mut state = self.lock();
        if state.events.cleared()
            && let Some(session) = &state.session
        {
            session.interrupt().signal_config();
        }
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        let mut state = self.lock();
        if state.session.is_some() {
            return Err(ActivateError::AlreadyActive);
        }
        if !matches!(activation.queues.first(), Some(Some(_))) {
            return Err(ActivateError::QueueMissing);
        }
        let translator = Translator::new(TranslatorConfig {
            ddi: Arc::clone(&self.ddi),
            worker: self.worker,
            features: activation.features,
            scanouts: self.config.scanouts,
            blob_alignment: self.config.blob_alignment,
        })
        .map_err(|status| ActivateError::Host(status.code()))?;
        let session = Session::new(activation, translator);
        if state.events.pending() {
            session.interrupt().signal_config();
        }
        state.session = Some(session);
        Ok(())
    }

    fn reset(&self) {
        let session = {
            let mut state = self.lock();
            state.events = DisplayEvents::default();
            state.session.take()
        };
        if let Some(session) = session {
            session.destroy();
        }
    }

    fn stop_queue(&self, index: u16) {
        if let Some(session) = &mut self.lock().session {
            session.stop_queue(index);
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.reset();
    }
}

/// The device as the driver knows it.
#[derive(Debug)]
struct Callbacks {
    gpu: Weak<Gpu>,
}

impl AdapterCallbacks for Callbacks {
    fn notify_interrupt(&self, completions: &[Completion]) {
        let Some(gpu) = self.gpu.upgrade() else {
            return;
        };
        let mut state = gpu.lock();
        let State { events, session } = &mut *state;
        if let Some(session) = session {
            session.complete(completions, events);
        }
    }

    fn indicate_child_status(&self) {
        let Some(gpu) = self.gpu.upgrade() else {
            return;
        };
        let mut state = gpu.lock();
        state.events.changed();
        if let Some(session) = &state.session {
            session.interrupt().signal_config();
        }
    }
}
