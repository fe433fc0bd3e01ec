// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How much one unit of work may do. There is no clock: a unit is bounded by the bytes it moves.

/// The most that one unit may copy, in bytes.
///
/// Rows and scattered pieces of memory cost something on top, so that no shape of work makes a unit longer than a few
/// times the copy of so many bytes. A unit always gets something done, however small its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitBudget(u32);

impl UnitBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn bytes(bytes: u32) -> Self {
        Self(bytes)
    }

    /// Bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for UnitBudget {
    /// 1 MiB: 50 to 100 us where memory copies 10 to 20 GB/s. `benches/copy.rs` measured 19 to 28 us on a 2-core EPYC
    /// guest whose cache holds the frame, pages that are touched for the first time included. A quarter of that would be
    /// 5 us, which is not much more than what a scheduler needs to start a unit.
    fn default() -> Self {
        Self(1 << 20)
    }
}

/// What is left of a unit's budget.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    /// What starting another row or piece costs, in bytes that could have been copied meanwhile: 5 to 12 ns were
    /// measured, and it may be some 100 ns on a page that no TLB knows, at 10 to 40 bytes a nanosecond.
    pub(crate) const PIECE: usize = 1024;

    pub(crate) fn new(unit: UnitBudget) -> Self {
        Self {
            left: usize::try_from(unit.0).unwrap_or(usize::MAX).max(1),
        }
    }

    pub(crate) fn endless() -> Self {
        Self { left: usize::MAX }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn left(&self) -> u64 {
        self.left as u64
    }

    pub(crate) fn clamp(&self, bytes: usize) -> usize {
        bytes.min(self.left)
    }

    pub(crate) fn charge(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}
