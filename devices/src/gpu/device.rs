// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device: what the transport, the event loop and the driver see of it.
//!
//! # Threads and locks
//! The event loop serves the queues, vCPU threads read the configuration and reset, the driver's threads report
//! completions and hot-plug. One mutex holds the device's state. The device calls the driver with that mutex held; the
//! driver calls back with no lock of its own held ([`AdapterCallbacks`]), so a callback may take the mutex. The
//! teardown at a reset, where the driver waits for its threads, runs after the state was taken out of the mutex: a
//! completion that comes late finds no session, or a younger one whose hardware queue has another handle.
//!
//! Completions never wait for the mutex: the thread that tells them may hold the engine, and every other VM would wait
//! with it for as long as this VM's guest keeps its device busy. They go into a box; whoever holds the state empties it.
//! For the same reason that thread only answers what is complete; what waited for it is started by the event loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

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
    /// What is complete and not yet answered, oldest first. Held for a copy only.
    completed: Mutex<Vec<Completion>>,
}

#[derive(Debug, Default)]
struct State {
    events: DisplayEvents,
    session: Option<Session>,
    /// Reused: the box's content while it is answered.
    completions: Vec<Completion>,
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
            completed: Mutex::default(),
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
        self.with_state(|state| {
            if let Some(session) = &mut state.session {
                session.service(&mut state.events);
            }
        });
    }

    /// Does something with the state, and then what was told meanwhile. The only way to the state but
    /// [`Gpu::answer_completed`].
    fn with_state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let result = act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.answer_completed();
        result
    }

    /// Answers what is in the box, unless somebody else holds the state: who does looks here when it lets go.
    fn answer_completed(&self) {
        while !self.completed().is_empty() {
            let mut state = match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poison)) => poison.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let State {
                session,
                completions,
                ..
            } = &mut *state;
            std::mem::swap(&mut *self.completed(), completions);
            if let Some(session) = session {
                session.complete(completions);
            }
            completions.clear();
        }
    }

    fn completed(&self) -> MutexGuard<'_, Vec<Completion>> {
        self.completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let space = self
            .config
            .space(self.with_state(|state| state.events.pending()));
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
        self.with_state(|state| {
            if state.events.cleared()
                && let Some(session) = &state.session
            {
                session.interrupt().signal_config();
            }
        });
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        self.with_state(|state| {
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
        })
    }

    fn reset(&self) {
        let session = self.with_state(|state| {
            state.events = DisplayEvents::default();
            state.session.take()
        });
        if let Some(session) = session {
            session.destroy();
        }
    }

    fn stop_queue(&self, index: u16) {
        self.with_state(|state| {
            if let Some(session) = &mut state.session {
                session.stop_queue(index);
            }
        });
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
        gpu.completed().extend_from_slice(completions);
        gpu.answer_completed();
    }

    fn indicate_child_status(&self) {
        let Some(gpu) = self.gpu.upgrade() else {
            return;
        };
        gpu.with_state(|state| {
            state.events.changed();
            if let Some(session) = &state.session {
                session.interrupt().signal_config();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use rondo_adapter::gpu::{SoftwareGpu, SoftwareGpuConfig};
    use rondo_adapter::handle::HwQueueHandle;

    use super::*;

    #[test]
    fn completions_told_to_a_busy_device_do_not_wait_for_it_and_are_looked_after_when_it_is_done() {
        let ddi = SoftwareGpu::new(SoftwareGpuConfig::default()).expect("a GPU");
        let worker = KmdProcessHandle(1);
        let gpu = Gpu::new(GpuConfig::default(), Arc::new(ddi), worker).expect("a device");
        let told = Completion {
            queue: HwQueueHandle(7),
            progress_fence_id: 1,
            status: Ok(()),
        };
        gpu.with_state(|_| {
            // The same thread: this would never return if it waited for the state.
            gpu.callbacks().notify_interrupt(&[told]);
            gpu.callbacks().notify_interrupt(&[told, told]);
            assert_eq!(gpu.completed().len(), 3);
        });
        assert!(gpu.completed().is_empty());
        gpu.callbacks().notify_interrupt(&[told]);
        assert!(gpu.completed().is_empty());
    }
}
