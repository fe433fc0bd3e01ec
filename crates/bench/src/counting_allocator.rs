// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The system's allocator, with a count of the bytes that are alive and of the calls that were made.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// See the module. It counts only while somebody asked for it, so that the other measurements do not pay for it.
#[derive(Debug)]
pub struct CountingAllocator {
    counts: AtomicBool,
    /// Bytes asked for and not given back. Wraps below zero if more is freed than was allocated while counting.
    alive: AtomicU64,
    calls: AtomicU64,
}

/// What was allocated between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes that were asked for and are still alive; what was freed of earlier allocations is taken off.
    pub bytes: i64,
    /// Calls that asked for memory.
    pub calls: u64,
}

impl CountingAllocator {
    /// An allocator that counts nothing yet.
    pub const fn new() -> Self {
        Self {
            counts: AtomicBool::new(false),
            alive: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// Does `work` and tells what it has allocated. One at a time; what other threads allocate meanwhile counts too.
    pub fn count<T>(&self, work: impl FnOnce() -> T) -> (T, Counted) {
        self.counts.store(true, Ordering::SeqCst);
        let (alive, calls) = self.now();
        let result = work();
        let (alive_after, calls_after) = self.now();
        self.counts.store(false, Ordering::SeqCst);
        let counted = Counted {
            bytes: alive_after.wrapping_sub(alive).cast_signed(),
            calls: calls_after.wrapping_sub(calls),
        };
        (result, counted)
    }

    fn now(&self) -> (u64, u64) {
        (
            self.alive.load(Ordering::SeqCst),
            self.calls.load(Ordering::SeqCst),
        )
    }

    fn add(&self, layout: Layout) {
        if self.counts.load(Ordering::Relaxed) {
            self.alive
                .fetch_add(layout.size() as u64, Ordering::Relaxed);
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self, layout: Layout) {
        if self.counts.load(Ordering::Relaxed) {
            self.alive
                .fetch_sub(layout.size() as u64, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator with the caller's own arguments, and its answer is returned
// as it is; the counters touch no memory of callers. `realloc` is the trait's own, which is made of these two.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.take(layout);
        // SAFETY: the pointer came from `System` with this layout, as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::CountingAllocator;
    use std::alloc::{GlobalAlloc, Layout};

    #[test]
    #[allow(unsafe_code, clippy::unwrap_used)]
    fn given_memory_that_is_kept_and_memory_that_is_freed_then_only_what_is_kept_is_alive() {
        let allocator = CountingAllocator::new();
        let layout = Layout::from_size_align(100, 8).unwrap();
        let (kept, counted) = allocator.count(|| {
            // SAFETY: the layout has a size; what is freed was allocated with it.
            unsafe {
                let freed = allocator.alloc(layout);
                allocator.dealloc(freed, layout);
                allocator.alloc_zeroed(layout)
            }
        });
        assert!(!kept.is_null());
        assert_eq!((counted.bytes, counted.calls), (100, 2));
        // SAFETY: allocated above with this layout.
        let ((), counted) = allocator.count(|| unsafe { allocator.dealloc(kept, layout) });
        assert_eq!((counted.bytes, counted.calls), (-100, 0));
    }
}
