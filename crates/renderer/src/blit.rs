// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One rectangle's way from memory to memory, row by row, stopping anywhere and going on later.

use crate::backing::{Backing, ReadHint};
use crate::format::PIXEL_BYTES;
use crate::geometry::Rect;
use crate::image::Surface;
use crate::unit::Budget;

/// Where bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bytes<'a> {
    Host(&'a [u8]),
    Guest(&'a Backing),
}

/// A rectangle of rows and how much of it is copied. All positions are in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blit {
    source: u64,
    source_stride: u64,
    target: u64,
    target_stride: u64,
    row_len: u64,
    rows: u64,
    /// Bytes done of the first of `rows`.
    done: u64,
    hint: ReadHint,
}

impl Blit {
    /// From `from` of one surface to `to` of another one. Both rectangles have the same size and lie in their surfaces.
    pub(crate) fn new(source: &Surface, from: &Rect, target: &Surface, to: &Rect) -> Self {
        debug_assert_eq!((from.width, from.height), (to.width, to.height));
        debug_assert!(from.fits(source.size) && to.fits(target.size));
        Self::at(source.byte_of(from), u64::from(source.stride), target, to)
    }

    /// Like [`Blit::new`], for a source of which only the start and the distance of rows are known.
    pub(crate) fn at(start: u64, stride: u64, target: &Surface, to: &Rect) -> Self {
        let row_len = u64::from(to.width) * u64::from(PIXEL_BYTES);
        let target_stride = u64::from(target.stride);
        let rows = if row_len == 0 {
            0
        } else {
            u64::from(to.height)
        };
        let whole = stride == row_len && target_stride == row_len;
        Self {
            source: start,
            source_stride: stride,
            target: target.byte_of(to),
            target_stride,
            row_len: if whole {
                row_len.saturating_mul(rows)
            } else {
                row_len
            },
            rows: if whole { rows.min(1) } else { rows },
            done: 0,
            hint: ReadHint::default(),
        }
    }

    /// Bytes of the budget that it takes from start to end, if the source is not scattered.
    pub(crate) fn cost(&self) -> u64 {
        self.row_len
            .saturating_add(Budget::PIECE as u64)
            .saturating_mul(self.rows)
    }

    /// Extents of the backing between the first and the last byte that is left to copy.
    pub(crate) fn source_extents(&self, backing: &Backing) -> u64 {
        let rows = self
            .rows
            .saturating_sub(1)
            .saturating_mul(self.source_stride);
        let end = self
            .source
            .saturating_add(rows)
            .saturating_add(self.row_len);
        backing.extents_between(self.source, end)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rows == 0
    }

    /// Copies until all is done (`true`) or the budget is spent.
    pub(crate) fn run(
        &mut self,
        source: Bytes<'_>,
        target: &mut [u8],
        budget: &mut Budget,
    ) -> bool {
        while self.rows > 0 && !budget.is_spent() {
            let Some(copied) = self.copy(source, target, budget) else {
                debug_assert!(false, "{self:?} leaves its memory");
                self.rows = 0;
                break;
            };
            self.done = self.done.saturating_add(copied);
            if self.done >= self.row_len {
                self.done = 0;
                self.rows = self.rows.saturating_sub(1);
                self.source = self.source.saturating_add(self.source_stride);
                self.target = self.target.saturating_add(self.target_stride);
            }
        }
        self.is_done()
    }

    /// Copies as much of the row as the budget allows. `None` if it does not lie in the memories.
    fn copy(&mut self, source: Bytes<'_>, target: &mut [u8], budget: &mut Budget) -> Option<u64> {
        let left = usize::try_from(self.row_len.checked_sub(self.done)?).ok()?;
        let from = self.source.checked_add(self.done)?;
        let to = usize::try_from(self.target.checked_add(self.done)?).ok()?;
        let target = target.get_mut(to..)?.get_mut(..left)?;
        let copied = match source {
            Bytes::Host(bytes) => {
                let len = budget.clamp(left);
                let from = usize::try_from(from).ok()?;
                let source = bytes.get(from..)?.get(..len)?;
                target.get_mut(..len)?.copy_from_slice(source);
                budget.charge(len.saturating_add(Budget::PIECE));
                len
            }
            Bytes::Guest(backing) => backing.read_some(&mut self.hint, from, target, budget),
        };
        (copied > 0).then_some(copied as u64)
    }
}

/// Blits that one after the other copy up to four rectangles between surfaces of the same shape.
#[derive(Debug, Default)]
pub(crate) struct SameShapeBlits {
    blits: [Blit; 4],
}

impl SameShapeBlits {
    pub(crate) fn new(surface: &Surface, rects: [Rect; 4]) -> Self {
        Self {
            blits: rects.map(|rect| {
                if rect.is_empty() {
                    Blit::default()
                } else {
                    Blit::new(surface, &rect, surface, &rect)
                }
            }),
        }
    }

    pub(crate) fn run(&mut self, source: &[u8], target: &mut [u8], budget: &mut Budget) -> bool {
        self.blits
            .iter_mut()
            .all(|blit| blit.run(Bytes::Host(source), target, budget))
    }
}
