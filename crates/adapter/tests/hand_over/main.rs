// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Models of the grant hand-over: the very sources of the driver, compiled against shuttle's threads and locks, which try
//! thousands of orders of events. A lost wake-up is a deadlock there, and a failure prints the schedule that repeats it.
//!
//! What the models leave out: weak memory (every atomic of the hand-over is `SeqCst`), and a timed sleep ends as if its time had
//! passed, without waiting for a notification.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

mod gpu;
mod time;

/// What `src/sync.rs` names.
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError};
    pub(crate) use shuttle::thread::{Thread, park};

    pub(crate) use crate::time::Condvar;
}

mod clock {
    pub(crate) use rondo_adapter::clock::Clock;
}

mod ddi {
    pub(crate) use rondo_adapter::ddi::DdiResult;
}

/// The host's threads are none of the model's: nobody is sent to a core.
mod host_thread {
    use std::io;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Core(pub(crate) u16);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ThreadId;

    impl ThreadId {
        pub(crate) fn current() -> Self {
            Self
        }
    }

    pub(crate) fn allowed() -> io::Result<Vec<Core>> {
        Ok(Vec::new())
    }

    pub(crate) fn set(_thread: ThreadId, _cores: &[Core]) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn demote(_thread: ThreadId) -> io::Result<()> {
        Ok(())
    }
}

mod journal {
    pub(crate) use rondo_adapter::journal::JournalSink;
}

mod status {
    pub(crate) use rondo_adapter::status::NtStatus;
}
