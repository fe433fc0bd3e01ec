// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Making a vCPU leave the guest from any thread, without a window in which the request could be missed.
//!
//! A kick first sets `immediate_exit`, then sends a signal. If the vCPU is in the guest, the signal makes `KVM_RUN` return; if
//! it is about to enter, KVM sees the flag; if it is in a device, the next `KVM_RUN` does. The flag is never cleared: a kick is
//! for good.

#![allow(unsafe_code)]

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use kvm_ioctls::VcpuFd;
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler, unblock_signal};

use super::run_page::RunPage;

/// Kicks one vCPU.
#[derive(Debug)]
pub struct Kicker {
    page: RunPage,
    /// The thread that runs the vCPU, while it does.
    thread: Mutex<Option<libc::pthread_t>>,
}

impl Kicker {
    pub fn new(vcpu: &VcpuFd) -> io::Result<Self> {
        install_handler()?;
        Ok(Self {
            page: RunPage::map(vcpu)?,
            thread: Mutex::new(None),
        })
    }

    pub fn page(&self) -> &RunPage {
        &self.page
    }

    /// Makes the vCPU leave the guest for good.
    pub fn kick(&self) {
        self.page.set_immediate_exit();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = *thread {
            // SAFETY: the thread takes this lock before it ends, so it is alive.
            let errno = unsafe { libc::pthread_kill(thread, SIGRTMIN()) };
            if errno != 0 {
                log::error!(
                    "a vCPU thread could not be signalled: {}",
                    io::Error::from_raw_os_error(errno)
                );
            }
        }
    }

    /// To be called on the vCPU's thread before its first `KVM_RUN`. The thread inherited its starter's signal mask, which may
    /// hold back the signal that we need.
    pub fn attach(&self) {
        if let Err(error) = unblock_signal(SIGRTMIN()) {
            log::error!("a vCPU thread cannot be signalled: {error}");
        }
        // SAFETY: always succeeds and touches nothing.
        let this = unsafe { libc::pthread_self() };
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(this);
    }

    /// To be called on the vCPU's thread after its last `KVM_RUN`.
    pub fn detach(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The handler does nothing: that the signal was delivered is what makes `KVM_RUN` return. It takes the first real-time
/// signal for the whole process, once.
fn install_handler() -> io::Result<()> {
    extern "C" fn wake(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| register_signal_handler(SIGRTMIN(), wake).map_err(|error| error.errno()))
        .map_err(io::Error::from_raw_os_error)
}
