// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Sizes and rectangles in pixels.

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A rectangle in pixels; the origin is the top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// The rectangle that covers all of `size`.
    #[must_use]
    pub const fn whole(size: Size) -> Self {
        Self {
            x: 0,
            y: 0,
            width: size.width,
            height: size.height,
        }
    }

    /// One past the last column; cannot overflow.
    #[must_use]
    pub const fn right(&self) -> u64 {
        self.x as u64 + self.width as u64
    }

    /// One past the last row; cannot overflow.
    #[must_use]
    pub const fn bottom(&self) -> u64 {
        self.y as u64 + self.height as u64
    }

    /// Whether it covers no pixel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether all of it lies inside `size`.
    #[must_use]
    pub const fn fits(&self, size: Size) -> bool {
        self.right() <= size.width as u64 && self.bottom() <= size.height as u64
    }

    /// The pixels that both cover, or `None` if there are none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let width = self.right().min(other.right()).checked_sub(u64::from(x))?;
        let height = self
            .bottom()
            .min(other.bottom())
            .checked_sub(u64::from(y))?;
        let common = Self {
            x,
            y,
            width: u32::try_from(width).ok()?,
            height: u32::try_from(height).ok()?,
        };
        (!common.is_empty()).then_some(common)
    }

    /// The smallest rectangle that covers both. An empty one adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        let span = |end: u64, start: u32| {
            u32::try_from(end.saturating_sub(u64::from(start))).unwrap_or(u32::MAX)
        };
        Self {
            x,
            y,
            width: span(self.right().max(other.right()), x),
            height: span(self.bottom().max(other.bottom()), y),
        }
    }

    /// The pixels of this one that `other` does not cover, as up to four rectangles that do not overlap: above, below,
    /// left and right of it. Those that cover nothing are empty.
    #[must_use]
    pub fn difference(&self, other: &Self) -> [Self; 4] {
        let Some(hole) = self.intersect(other) else {
            return [*self, Self::default(), Self::default(), Self::default()];
        };
        // Both ends lie inside `self`, so no difference is negative or too wide.
        let between = |end: u64, start: u64| u32::try_from(end.saturating_sub(start)).unwrap_or(0);
        let start = |end: u64| u32::try_from(end).unwrap_or(u32::MAX);
        [
            Self {
                height: hole.y.saturating_sub(self.y),
                ..*self
            },
            Self {
                y: start(hole.bottom()),
                height: between(self.bottom(), hole.bottom()),
                ..*self
            },
            Self {
                width: hole.x.saturating_sub(self.x),
                y: hole.y,
                height: hole.height,
                ..*self
            },
            Self {
                x: start(hole.right()),
                width: between(self.right(), hole.right()),
                y: hole.y,
                height: hole.height,
            },
        ]
    }
}
