// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rectangles against sets of pixels.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::{Surface, SurfaceError};

fn pixels(rect: &Rect) -> BTreeSet<(u32, u32)> {
    let columns = rect.x..rect.x + rect.width;
    columns
        .flat_map(|x| (rect.y..rect.y + rect.height).map(move |y| (x, y)))
        .collect()
}

prop_compose! {
    fn a_rect()(x in 0_u32..12, y in 0_u32..12, width in 0_u32..8, height in 0_u32..8) -> Rect {
        Rect { x, y, width, height }
    }
}

proptest! {
    #[test]
    fn given_two_rectangles_then_their_intersection_is_what_both_cover(a in a_rect(), b in a_rect()) {
        let common = a.intersect(&b).map(|rect| pixels(&rect)).unwrap_or_default();
        prop_assert_eq!(common, &pixels(&a) & &pixels(&b));
    }

    #[test]
    fn given_two_rectangles_then_their_difference_covers_each_pixel_of_the_first_alone_once(
        a in a_rect(), b in a_rect(),
    ) {
        let parts = a.difference(&b);
        let all: Vec<_> = parts.iter().flat_map(pixels).collect();
        let expected = &pixels(&a) - &pixels(&b);
        prop_assert_eq!(all.len(), expected.len());
        prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn given_two_rectangles_then_their_union_is_the_smallest_that_covers_both(a in a_rect(), b in a_rect()) {
        let all = &pixels(&a) | &pixels(&b);
        let union = pixels(&a.union(&b));
        prop_assert!(all.is_subset(&union));
        for edge in [|&(x, _): &(u32, u32)| x, |&(_, y): &(u32, u32)| y] {
            prop_assert_eq!(all.iter().map(edge).min(), union.iter().map(edge).min());
            prop_assert_eq!(all.iter().map(edge).max(), union.iter().map(edge).max());
        }
    }
}

#[test]
fn given_the_largest_numbers_then_no_operation_overflows() {
    let huge = Rect {
        x: u32::MAX,
        y: u32::MAX,
        width: u32::MAX,
        height: u32::MAX,
    };
    let small = Rect {
        x: 1,
        y: 1,
        width: 1,
        height: 1,
    };
    assert_eq!(huge.intersect(&huge), Some(huge));
    assert_eq!(huge.intersect(&small), None);
    assert!(huge.difference(&huge).iter().all(Rect::is_empty));
    assert_eq!(huge.difference(&small)[0], huge);
    assert_eq!(
        small.union(&huge),
        Rect {
            x: 1,
            y: 1,
            width: u32::MAX,
            height: u32::MAX
        }
    );
    assert!(!huge.fits(Size {
        width: u32::MAX,
        height: u32::MAX
    }));
}

#[test]
fn given_a_surface_then_it_fits_from_exactly_its_last_pixel_on() {
    let surface = |width, height, stride, offset| Surface {
        size: Size { width, height },
        format: PixelFormat::B8G8R8A8,
        stride,
        offset,
    };
    // Three rows of 8 bytes, 20 bytes apart, from byte 5 on.
    assert_eq!(surface(2, 3, 20, 5).check(53), Ok(()));
    assert_eq!(
        surface(2, 3, 20, 5).check(52),
        Err(SurfaceError::OutOfBounds {
            end: 53,
            available: 52
        })
    );
    assert_eq!(
        surface(2, 3, 7, 0).check(1000),
        Err(SurfaceError::Stride {
            width: 2,
            stride: 7
        })
    );
    let max = u32::MAX;
    assert!(matches!(
        surface(0, 1, 4, 0).check(9),
        Err(SurfaceError::Empty(_))
    ));
    assert!(matches!(
        surface(1, 0, 4, 0).check(9),
        Err(SurfaceError::Empty(_))
    ));
    assert!(matches!(
        surface(max, max, max, max).check(u64::MAX),
        Err(SurfaceError::Stride { .. })
    ));
    assert!(matches!(
        surface(max / 4, max, max, max).check(u64::MAX / 2),
        Err(SurfaceError::OutOfBounds { .. })
    ));
}
