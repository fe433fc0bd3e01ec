// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rectangles and boxes as the driver writes them. (0, 0) is top left; x grows to the right, y downwards.

/// `struct virtio_gpu_rect`, in pixels. Any four numbers are a `Rect`; edges are computed in `u64`, so they cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// A rectangle by its upper left corner and its size.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The rectangle of this size at (0, 0).
    #[must_use]
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self::new(0, 0, width, height)
    }

    /// One past the last column.
    #[must_use]
    pub const fn right(&self) -> u64 {
        (self.x as u64).saturating_add(self.width as u64)
    }

    /// One past the last row.
    #[must_use]
    pub const fn bottom(&self) -> u64 {
        (self.y as u64).saturating_add(self.height as u64)
    }

    /// Whether it holds no pixel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Pixels inside.
    #[must_use]
    pub const fn area(&self) -> u64 {
        (self.width as u64).saturating_mul(self.height as u64)
    }

    /// Whether `other` lies wholly inside. An empty `other` does when its corner and edges do.
    #[must_use]
    pub const fn contains(&self, other: &Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }

    /// The pixels that both have; `None` when they share none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        // Each side is at most the smaller of the two sizes, so it fits u32 again.
        let width =
            u32::try_from(self.right().min(other.right()).checked_sub(u64::from(x))?).ok()?;
        let height = u32::try_from(
            self.bottom()
                .min(other.bottom())
                .checked_sub(u64::from(y))?,
        )
        .ok()?;
        let both = Self {
            x,
            y,
            width,
            height,
        };
        (!both.is_empty()).then_some(both)
    }
}

/// `struct virtio_gpu_box`: a part of a 3D resource, in texels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Box3 {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// First layer or slice.
    pub z: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Layers or slices.
    pub depth: u32,
}

impl Box3 {
    /// Whether it holds no texel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0 || self.depth == 0
    }

    /// One past the last column.
    #[must_use]
    pub const fn right(&self) -> u64 {
        (self.x as u64).saturating_add(self.width as u64)
    }

    /// One past the last row.
    #[must_use]
    pub const fn bottom(&self) -> u64 {
        (self.y as u64).saturating_add(self.height as u64)
    }

    /// One past the last layer or slice.
    #[must_use]
    pub const fn back(&self) -> u64 {
        (self.z as u64).saturating_add(self.depth as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: Rect = Rect::new(u32::MAX, u32::MAX, u32::MAX, u32::MAX);

    #[test]
    fn edges_do_not_wrap_at_the_end_of_u32() {
        assert_eq!(WHOLE.right(), 2 * u64::from(u32::MAX));
        assert_eq!(WHOLE.bottom(), 2 * u64::from(u32::MAX));
        assert!(!Rect::of_size(640, 480).contains(&Rect::new(u32::MAX, 0, 2, 1)));
        assert_eq!(WHOLE.intersect(&WHOLE), Some(WHOLE));
    }

    #[test]
    fn touching_rectangles_share_nothing() {
        assert_eq!(
            Rect::new(0, 0, 4, 4).intersect(&Rect::new(4, 0, 4, 4)),
            None
        );
        assert_eq!(
            Rect::new(0, 0, 4, 4).intersect(&Rect::new(9, 9, 4, 4)),
            None
        );
        assert_eq!(
            Rect::new(0, 0, 0, 4).intersect(&Rect::new(0, 0, 4, 4)),
            None
        );
    }

    fn small() -> impl Strategy<Value = Rect> {
        (0u32..12, 0u32..12, 0u32..12, 0u32..12).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
    }

    fn has(rect: &Rect, x: u32, y: u32) -> bool {
        let inside = |at: u32, from: u32, to: u64| at >= from && u64::from(at) < to;
        inside(x, rect.x, rect.right()) && inside(y, rect.y, rect.bottom())
    }

    proptest! {
        #[test]
        fn intersect_has_exactly_the_pixels_of_both(a in small(), b in small()) {
            let both = a.intersect(&b);
            for x in 0..24 {
                for y in 0..24 {
                    prop_assert_eq!(both.is_some_and(|r| has(&r, x, y)), has(&a, x, y) && has(&b, x, y));
                }
            }
        }

        #[test]
        fn contains_means_every_pixel_is_inside(a in small(), b in small()) {
            prop_assume!(!b.is_empty());
            let all = (0..24).all(|x| (0..24).all(|y| !has(&b, x, y) || has(&a, x, y)));
            prop_assert_eq!(a.contains(&b), all);
        }
    }
}
