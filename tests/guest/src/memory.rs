// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Memory by the page, handed out once and never taken back: what a device may write to stays what it was handed out as.
//!
//! Physical addresses are virtual addresses here (identity mapping), which is why a driver can pass them to a device as they are.

use core::fmt;

/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// RAM that nobody uses yet.
#[derive(Debug)]
pub struct FreeMemory {
    next: u64,
    end: u64,
}

/// A run of whole pages, owned by whoever asked for it. Zero unless they were given back before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// Address of the first byte; a multiple of [`PAGE`].
    pub address: u64,
    /// Bytes; a multiple of [`PAGE`].
    pub len: u64,
}

/// The VM has too little memory for what its command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes left.
    pub left: u64,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "out-of-memory wanted={} left={}", self.wanted, self.left)
    }
}

impl FreeMemory {
    /// The free memory from `start` to `end`.
    ///
    /// # Safety
    /// It is RAM, zero (a VM's memory is at boot), mapped, and nobody else touches it as long as the program runs.
    #[must_use]
    #[allow(unsafe_code)]
    pub const unsafe fn new(start: u64, end: u64) -> Self {
        Self {
            next: start.next_multiple_of(PAGE),
            end: end / PAGE * PAGE,
        }
    }

    /// Hands out at least `bytes` bytes.
    ///
    /// # Errors
    /// [`OutOfMemory`], and nothing is taken.
    pub fn take(&mut self, bytes: u64) -> Result<Pages, OutOfMemory> {
        let left = self.end.saturating_sub(self.next);
        match bytes.checked_next_multiple_of(PAGE) {
            Some(len) if len <= left => {
                let address = self.next;
                self.next += len;
                Ok(Pages { address, len })
            }
            _ => Err(OutOfMemory {
                wanted: bytes,
                left,
            }),
        }
    }

    /// Where the free memory begins now: pass it to [`Self::give_back_to`].
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.next
    }

    /// Takes back everything that was handed out since `mark`.
    ///
    /// The caller has reset the device, so no device writes there any more, and forgets the pages. They are not zero when handed out again.
    pub const fn give_back_to(&mut self, mark: u64) {
        if mark < self.next {
            self.next = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, unsafe_code)]
    use super::*;

    #[test]
    fn given_free_memory_pages_are_whole_and_never_handed_out_twice() {
        // SAFETY: the addresses are only computed with.
        let mut free = unsafe { FreeMemory::new(0x1001, 0x5fff) };
        assert_eq!(
            free.take(1).unwrap(),
            Pages {
                address: 0x2000,
                len: 0x1000
            }
        );
        let mark = free.mark();
        assert_eq!(
            free.take(0x1001).unwrap(),
            Pages {
                address: 0x3000,
                len: 0x2000
            }
        );
        assert_eq!(free.take(1), Err(OutOfMemory { wanted: 1, left: 0 }));
        free.give_back_to(mark);
        assert_eq!(free.take(1).unwrap().address, 0x3000);
    }

    #[test]
    fn given_a_size_that_overflows_nothing_is_taken() {
        // SAFETY: the addresses are only computed with.
        let mut free = unsafe { FreeMemory::new(0, 0x1000) };
        assert_eq!(
            free.take(u64::MAX),
            Err(OutOfMemory {
                wanted: u64::MAX,
                left: 0x1000
            })
        );
    }
}
