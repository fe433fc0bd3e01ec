// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The thread that serves one VM's device queues. Each VM has its own, so that one VM's storm of commands keeps no other
//! VM's control plane waiting.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use event_manager::{EventManager, MutEventSubscriber, RemoteEndpoint, SubscriberOps};
use rondo_adapter::thread_priority::PromptWorkers;

/// See the module. Dropping it ends the thread.
#[derive(Debug)]
pub struct DeviceLoop<D: MutEventSubscriber> {
    endpoint: RemoteEndpoint<D>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<D: MutEventSubscriber + Debug + Send + 'static> DeviceLoop<D> {
    /// Starts serving `device` on a thread named after the VM.
    ///
    /// # Errors
    /// The host has no descriptor or no thread left.
    pub fn start(name: &str, device: D) -> io::Result<Self> {
        let other = |error: event_manager::Error| io::Error::other(error.to_string());
        let mut events = EventManager::new().map_err(other)?;
        events.add_subscriber(device);
        let endpoint = events.remote_endpoint();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name(format!("dev-{name}"))
            .spawn(move || {
                // Between vCPUs that spin, a doorbell is answered soon all the same.
                if let Err(error) = PromptWorkers::default().apply() {
                    log::debug!("a device loop has no short slice: {error}");
                }
                while !stop.load(Ordering::Acquire) {
                    if let Err(error) = events.run()
                        && !interrupted(&error)
                    {
                        log::error!("the device loop ends: {error}");
                        return;
                    }
                }
            })?;
        Ok(Self {
            endpoint,
            stopping,
            thread: Some(thread),
        })
    }

    /// Ends the thread and waits for it.
    pub fn stop(self) {
        drop(self);
    }
}

impl<D: MutEventSubscriber> DeviceLoop<D> {
    fn end(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The loop is gone already if it does not take the kick.
            let _ = self.endpoint.kick();
            if thread.join().is_err() {
                log::error!("a device loop failed");
            }
        }
    }
}

impl<D: MutEventSubscriber> Drop for DeviceLoop<D> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a signal interrupted the wait, by which nothing is lost.
pub fn interrupted(error: &event_manager::Error) -> bool {
    matches!(error, event_manager::Error::Epoll(errno) if io::Error::from(*errno).kind() == io::ErrorKind::Interrupted)
}
