// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The primitives on which engines change hands. `tests/hand_over` compiles the same sources against a model of them, which
//! tries orders of events that a machine rarely shows.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::{Thread, park};
