// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device on an event-manager loop: a queue was notified, so serve the queues.

use std::sync::Arc;

use event_manager::{EventOps, EventSet, EventSubscriber, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::device::Gpu;

/// Token of the control queue's notification.
const CONTROL_QUEUE: u32 = 0;
/// Token of the cursor queue's notification.
const CURSOR_QUEUE: u32 = 1;

/// Subscribes a [`Gpu`] to the notifications of its queues.
#[derive(Debug)]
pub struct GpuEvents {
    gpu: Arc<Gpu>,
    control: Arc<EventFd>,
    cursor: Arc<EventFd>,
}

impl GpuEvents {
    /// For `gpu`, whose transport has these notifiers
    /// ([`VirtioMmio::notifiers`](crate::virtio::VirtioMmio::notifiers)). `None` if they are not two.
    #[must_use]
    pub fn new(gpu: Arc<Gpu>, notifiers: &[Arc<EventFd>]) -> Option<Self> {
        let [control, cursor] = notifiers else {
            return None;
        };
        Some(Self {
            gpu,
            control: Arc::clone(control),
            cursor: Arc::clone(cursor),
        })
    }
}

impl EventSubscriber for GpuEvents {
    fn process(&self, events: Events, _ops: &mut EventOps<'_>) {
        let notifier = match events.data() {
            CONTROL_QUEUE => &self.control,
            CURSOR_QUEUE => &self.cursor,
            unknown => {
                debug_assert!(false, "token {unknown} was never registered");
                return;
            }
        };
        // Emptied before the queues are looked at: a notification that comes later is not lost.
        if notifier.read().is_ok() {
            self.gpu.service_queues();
        }
    }

    fn init(&self, ops: &mut EventOps<'_>) {
        for (notifier, token) in [(&self.control, CONTROL_QUEUE), (&self.cursor, CURSOR_QUEUE)] {
            let event = Events::with_data(notifier.as_ref(), token, EventSet::IN);
            if let Err(error) = ops.add(event) {
                log::error!("the event loop does not take a queue of virtio-gpu: {error}");
            }
        }
    }
}

impl MutEventSubscriber for GpuEvents {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        EventSubscriber::process(self, events, ops);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        EventSubscriber::init(self, ops);
    }
}
