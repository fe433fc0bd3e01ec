// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Asks Linux to run worker threads soon after they are woken: real time where permitted, else a short slice.
//!
//! Between two VMs' turns the engine idles until the next worker runs. On a machine whose cores are full of vCPUs that
//! is as long as the kernel lets them go on. Linux 6.12 and later let a thread ask for a short slice without any
//! privilege: it then preempts threads with longer ones when it wakes, and gets no more processor time for it
//! (`sched(7)`, `sched_setattr(2)`). Older kernels ignore the slice. See `examples/two_busy_vms.rs`, which measures it.
//!
//! A short slice is not enough where the worker has used more than its part of a core: then it waits for a vCPU's whole turn,
//! 4 ms and more, in the middle of a unit or at a change of hands. A real-time thread does not. `rondo demo` on two cores with
//! two guests that spin: GPU busy 91 to 98 % and shares off by up to 2.9 % without, 98.1 to 98.4 % and 0.2 % with.

#![allow(unsafe_code)]

use std::io;
use std::num::NonZero;
use std::thread;

use rondo_scheduler::Nanos;

use crate::gpu::{Placement, WorkerHook};

/// `struct sched_attr` as Linux 3.14 published it; later fields are optional.
#[derive(Debug, Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `SCHED_ATTR_SIZE_VER0`.
const SIZE: u32 = 48;
const _: () = assert!(size_of::<SchedAttr>() == 48);

/// What a thread asks for: real time if `real_time`, else or if refused a short slice with a better nice value, else the short slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptWorkers {
    /// Whether to ask for the real-time policy `SCHED_RR` at its lowest priority. It needs `CAP_SYS_NICE` or `RLIMIT_RTPRIO`.
    pub real_time: bool,
    /// The slice; Linux keeps it between 0.1 and 100 ms.
    pub slice: Nanos,
    /// The nice value, -20 to 19; below the thread's own it needs `CAP_SYS_NICE` or `RLIMIT_NICE`, and is left as it is
    /// without.
    pub nice: i32,
    /// Whether real-time workers of an engine share one core, so that a change of hands takes 3 us instead of 16 to 23. For hosts
    /// whose vCPUs do not fill the cores: `rondo demo` on two cores with two guests that spin kept its shares within 0.5 % in two
    /// runs of five with it, and in four of five without.
    pub one_core: bool,
}

/// What a thread got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// `SCHED_RR`.
    RealTime,
    /// The short slice, at this nice value.
    Nice(i32),
}

impl Default for PromptWorkers {
    /// No real time; 0.1 ms, and nice -10 where permitted; on any core.
    fn default() -> Self {
        Self {
            real_time: false,
            slice: Nanos::from_micros(100),
            nice: -10,
            one_core: false,
        }
    }
}

impl PromptWorkers {
    /// For threads that are the GPU: real time where permitted, on hosts with a core to spare. All of them together take one
    /// core at most, for an engine runs one unit at a time; that core is the GPU. Linux keeps a part of it for others
    /// (`sched(7)`, "Limiting the CPU usage of real-time"; 5 % by default).
    #[must_use]
    pub fn engine() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            real_time: cores > 1,
            ..Self::default()
        }
    }

    /// Asks for it on the calling thread. Tells what it has got.
    ///
    /// # Errors
    /// What `sched_setattr` says to the thread's own nice value, which needs no privilege.
    pub fn apply(&self) -> io::Result<Granted> {
        if self.real_time {
            match set(&SchedAttr::round_robin()) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                result => return result.map(|()| Granted::RealTime),
            }
        }
        match set(&SchedAttr::fair(self.slice, self.nice)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                set(&SchedAttr::fair(self.slice, 0)).map(|()| Granted::Nice(0))
            }
            result => result.map(|()| Granted::Nice(self.nice)),
        }
    }
}

impl SchedAttr {
    /// `SCHED_RR`, at the lowest of its priorities.
    fn round_robin() -> Self {
        const SCHED_RR: u32 = 2;
        Self {
            size: SIZE,
            policy: SCHED_RR,
            priority: 1,
            ..Self::default()
        }
    }

    /// `SCHED_OTHER`, which is 0.
    fn fair(slice: Nanos, nice: i32) -> Self {
        Self {
            size: SIZE,
            nice,
            runtime: slice.0,
            ..Self::default()
        }
    }
}

fn set(attributes: &SchedAttr) -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    // SAFETY: the kernel reads `size` bytes from the pointer, which is a live structure of that size and of the layout
    // that the system call documents, and keeps no pointer to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            &raw const *attributes,
            NO_FLAGS,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl WorkerHook for PromptWorkers {
    /// A thread that was granted real time goes where its engine is, if asked to: nobody there can keep it waiting.
    fn on_start(&self) -> Placement {
        let granted = self.apply();
        match &granted {
            Ok(granted) => log::debug!("a GPU worker runs as {granted:?}"),
            Err(error) => log::debug!("a GPU worker has no short slice: {error}"),
        }
        match granted {
            Ok(Granted::RealTime) if self.one_core => Placement::EnginesCore,
            Ok(_) | Err(_) => Placement::Anywhere,
        }
    }

    /// At rest it is no real-time thread: Linux would stop one.
    fn on_rest(&self, rests: bool) {
        let resting = Self {
            real_time: false,
            ..*self
        };
        let asked = if rests { resting.apply() } else { self.apply() };
        if self.real_time && asked.is_err() {
            log::debug!("a GPU worker keeps its priority: {asked:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a new thread gets that asks for `prompt`.
    fn granted(prompt: PromptWorkers) -> Option<Granted> {
        std::thread::spawn(move || prompt.apply().ok())
            .join()
            .ok()
            .flatten()
    }

    #[test]
    fn a_thread_gets_what_needs_no_privilege() {
        let prompt = PromptWorkers {
            nice: 5,
            ..PromptWorkers::default()
        };
        assert_eq!(granted(prompt), Some(Granted::Nice(5)));
    }

    #[test]
    fn a_refused_nice_value_leaves_the_rest() {
        let got = granted(PromptWorkers::default());
        assert!(matches!(got, Some(Granted::Nice(-10 | 0))), "{got:?}");
    }

    #[test]
    fn real_time_that_is_refused_leaves_the_short_slice() {
        let got = granted(PromptWorkers {
            real_time: true,
            ..PromptWorkers::default()
        });
        assert!(
            matches!(got, Some(Granted::RealTime | Granted::Nice(-10 | 0))),
            "{got:?}"
        );
    }
}
