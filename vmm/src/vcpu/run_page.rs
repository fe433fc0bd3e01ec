// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A second view of a vCPU's `kvm_run` page, for the fields that are needed while the vCPU is running or borrowed.
//!
//! The vCPU's owner holds the page through [`VcpuFd`], whose `run` borrows it. Other threads have to set `immediate_exit` at
//! any time, and the run loop has to know the width of a repeated port access while it holds the data. A mapping of our own,
//! read and written like memory shared with another process, serves both without aliasing that borrow.

#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;

/// `kvm_run` is what the page starts with; the data of port accesses follows on the next pages, which are not needed here.
const PAGE: usize = 4096;
const _: () = assert!(size_of::<kvm_run>() <= PAGE);

/// The mapping. It keeps the vCPU's file alive in the kernel, so it may outlive the [`VcpuFd`].
#[derive(Debug)]
pub struct RunPage {
    page: NonNull<kvm_run>,
}

// SAFETY: the mapping is not tied to a thread, and every access goes through an atomic or a volatile read of plain integers.
unsafe impl Send for RunPage {}
// SAFETY: as above.
unsafe impl Sync for RunPage {}

impl RunPage {
    /// Maps the page of `vcpu` once more.
    pub fn map(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: a new shared mapping at an address of the kernel's choice; the result is checked.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(page.cast::<kvm_run>()) {
            Some(page) if page.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { page }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// From now on `KVM_RUN` returns at once with `EINTR`.
    pub fn set_immediate_exit(&self) {
        let field = offset_of!(kvm_run, immediate_exit);
        // SAFETY: the field is one byte within the mapping, which lives as long as `self`; KVM reads it like an atomic.
        let byte = unsafe { AtomicU8::from_ptr(self.page.as_ptr().cast::<u8>().add(field)) };
        byte.store(1, Ordering::SeqCst);
    }

    /// Bytes of each element of the port access that the vCPU last exited for.
    pub fn port_access_width(&self) -> usize {
        // SAFETY: within the mapping, and every bit pattern of the union's integers is valid. The caller's thread is the one
        // that ran the vCPU, so KVM does not write meanwhile.
        let width = unsafe {
            ptr::read_volatile(&raw const (*self.page.as_ptr()).__bindgen_anon_1.io.size)
        };
        usize::from(width).max(1)
    }

    /// The `suberror` of the internal error that the vCPU last exited for.
    pub fn internal_suberror(&self) -> u32 {
        // SAFETY: as in `port_access_width`.
        unsafe {
            ptr::read_volatile(&raw const (*self.page.as_ptr()).__bindgen_anon_1.internal.suberror)
        }
    }

    /// The reason of the last exit.
    pub fn exit_reason(&self) -> u32 {
        // SAFETY: as in `port_access_width`.
        unsafe { ptr::read_volatile(&raw const (*self.page.as_ptr()).exit_reason) }
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: `map` made this mapping, and nothing borrows from it.
        unsafe { libc::munmap(self.page.as_ptr().cast(), PAGE) };
    }
}
