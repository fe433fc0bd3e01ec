// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduling log of a VM: a ring of fixed 32-byte entries, each a context's change of state.
//!
//! The layout is WDDM's (`DXGK_SCHEDULING_LOG_BUFFER_HEADER`, `DXGK_SCHEDULING_LOG_BUFFER_ENTRY` of `d3dkmddi.h`). WDDM has
//! one log for each engine; here each VM has its own, so that what one VM writes never makes another one wait, and the
//! node is a field of the entry. `InterruptEntry` is not offered: readers come by themselves.
//!
//! One writer, any number of readers, no lock: the writer fills an entry and then moves the header on; a reader copies
//! entries and looks at the header again, which tells it what was overwritten meanwhile. A reader that comes before the
//! ring has gone round loses nothing, and one that comes later is told how much it lost.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use rondo_scheduler::Nanos;

use crate::handle::ContextHandle;

/// `DXGK_SCHEDULING_LOG_OPERATION_CONTEXT_STATE_CHANGE`, the only operation that there is.
const CONTEXT_STATE_CHANGE: u64 = 0;

/// 64-bit words of an entry.
const WORDS: usize = 4;

// WDDM's entry has 32 bytes.
const _: () = assert!(WORDS * size_of::<AtomicU64>() == 32);

/// `DXGK_SCHEDULING_LOG_CONTEXT_STATE`. `READY_STANDBY` (3), which is optional, is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextState {
    /// It has no work.
    Idle = 0,
    /// The engine works for it.
    Running = 1,
    /// It has work and does not run. So does a suspended context with work.
    Ready = 2,
}

impl ContextState {
    const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Idle),
            1 => Some(Self::Running),
            2 => Some(Self::Ready),
            _ => None,
        }
    }
}

/// A context's change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When, on the driver's clock. Exact for [`ContextState::Running`] and for what ends it; a context that has become
    /// ready while a unit was about to start may be seen to run from an instant shortly before.
    pub timestamp: Nanos,
    /// Which context. The worker's own handle stands for an engine that was held without a context to run.
    pub context: ContextHandle,
    /// Its state from now on.
    pub state: ContextState,
    /// The node that it runs on, or last ran on (WDDM: reserved).
    pub node: u16,
}

impl LogEntry {
    const fn to_words(self) -> [u64; WORDS] {
        // The operation's 32 bits, then 32 that WDDM reserves.
        let operation = CONTEXT_STATE_CHANGE | (self.node as u64) << 32;
        [
            self.timestamp.0,
            operation,
            self.context.0,
            self.state as u64,
        ]
    }

    fn from_words([timestamp, operation, context, state]: [u64; WORDS]) -> Option<Self> {
        Some(Self {
            timestamp: Nanos(timestamp),
            context: ContextHandle(context),
            state: ContextState::from_number(state)?,
            node: u16::try_from(operation >> 32).ok()?,
        })
    }
}

/// See the module. Give it to a driver with [`crate::ddi::VmHost::set_scheduling_log_buffer`].
#[derive(Debug)]
pub struct SchedulingLog {
    /// `FirstFreeEntryIndex` in the lower half, `WraparoundCount` in the upper one.
    header: AtomicU64,
    entries: Box<[[AtomicU64; WORDS]]>,
    /// Whether some VM writes here.
    claimed: AtomicBool,
}

impl SchedulingLog {
    /// Entries of a log that is read every few milliseconds: 4 MiB. All but one are a reader's to come for; the last one
    /// is the next to be overwritten.
    pub const DEFAULT_ENTRIES: NonZeroU32 = NonZeroU32::new(1 << 17).unwrap();

    /// An empty log with room for so many entries.
    #[must_use]
    pub fn new(entries: NonZeroU32) -> Self {
        Self {
            header: AtomicU64::new(0),
            // Written once now, so that the writer meets no page that is not there yet.
            entries: (0..entries.get()).map(|_| Default::default()).collect(),
            claimed: AtomicBool::new(false),
        }
    }

    /// How many entries fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// How many entries were ever written.
    fn written(&self) -> u64 {
        let header = self.header.load(Ordering::Acquire);
        let (index, laps) = (header & u64::from(u32::MAX), header >> 32);
        laps * self.entries.len() as u64 + index
    }
}

/// The one that writes to a log, for drivers; nobody else can until it is dropped.
#[derive(Debug)]
pub struct LogWriter {
    log: Arc<SchedulingLog>,
    index: u32,
    laps: u32,
}

impl LogWriter {
    /// A writer that goes on where the log ends; `None` if somebody writes there already.
    #[must_use]
    pub fn claim(log: Arc<SchedulingLog>) -> Option<Self> {
        if log.claimed.swap(true, Ordering::AcqRel) {
            return None;
        }
        let header = log.header.load(Ordering::Acquire);
        // Two halves of 32 bits.
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Some(Self {
            index: half(header),
            laps: half(header >> 32),
            log,
        })
    }

    /// Appends an entry, over the oldest one if the log is full. No lock, no allocation, no system call.
    pub fn record(&mut self, entry: LogEntry) {
        let Some(slot) = self.log.entries.get(self.index as usize) else {
            debug_assert!(false, "entry {} of {}", self.index, self.log.capacity());
            return;
        };
        // A reader that sees a word of this entry also sees, in the header, that the entry before was complete.
        fence(Ordering::Release);
        for (word, value) in slot.iter().zip(entry.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.index += 1;
        if self.index as usize == self.log.entries.len() {
            self.index = 0;
            self.laps = self.laps.wrapping_add(1);
        }
        let header = u64::from(self.laps) << 32 | u64::from(self.index);
        self.log.header.store(header, Ordering::Release);
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.log.claimed.store(false, Ordering::Release);
    }
}

/// One that reads a log, from its place on. It takes nothing away from other readers.
#[derive(Debug)]
pub struct LogReader {
    log: Arc<SchedulingLog>,
    next: u64,
}

impl LogReader {
    /// A reader of all that is written from the log's beginning on.
    #[must_use]
    pub const fn new(log: Arc<SchedulingLog>) -> Self {
        Self { log, next: 0 }
    }

    /// Appends up to `most` entries that were not read yet, oldest first, and moves behind them. Returns how many entries
    /// before those were overwritten unread: 0 for a reader that comes in time.
    pub fn read(&mut self, most: usize, into: &mut Vec<LogEntry>) -> u64 {
        let capacity = self.log.entries.len() as u64;
        let written = self.log.written();
        // The oldest entry of a full ring is the one that is overwritten next, perhaps now.
        let oldest = (written + 1).saturating_sub(capacity);
        let mut lost = oldest.saturating_sub(self.next);
        let start = self.next.max(oldest);
        let end = written.min(start.saturating_add(most as u64));
        let first = into.len();
        for place in start..end {
            // A remainder of the number of entries.
            let slot = usize::try_from(place % capacity)
                .ok()
                .and_then(|index| self.log.entries.get(index));
            let words = slot.map(|slot| [0, 1, 2, 3].map(|word: usize| load(slot, word)));
            // A torn entry is dropped below, whatever its words say.
            into.push(words.and_then(LogEntry::from_words).unwrap_or(TORN));
        }
        fence(Ordering::Acquire);
        let safe = (self.log.written() + 1).saturating_sub(capacity);
        let torn = safe.saturating_sub(start).min(end.saturating_sub(start));
        let cut = usize::try_from(torn).unwrap_or(usize::MAX);
        into.drain(first..into.len().min(first.saturating_add(cut)));
        lost += torn;
        self.next = end.max(start);
        lost
    }
}

/// Stands for an entry that was overwritten while it was read.
const TORN: LogEntry = LogEntry {
    timestamp: Nanos(0),
    context: ContextHandle(0),
    state: ContextState::Idle,
    node: 0,
};

fn load(slot: &[AtomicU64; WORDS], word: usize) -> u64 {
    slot.get(word)
        .map_or(u64::MAX, |word| word.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
