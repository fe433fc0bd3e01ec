// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Uploads against a model that copies one pixel at a time.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rondo_renderer::backing::OutOfRange;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::{Image, ImageError};
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Upload, Work, WorkError};
use vm_memory::{Bytes, GuestAddress};
use world::{FORMAT, backing, bytes_of, finish, memory, model_upload, pixel};

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
    Rect {
        x,
        y,
        width,
        height,
    }
}

fn image(size: Size) -> Arc<Image> {
    Arc::new(Image::new(size, FORMAT).unwrap())
}

fn upload(
    image: &Arc<Image>,
    backing: &Arc<rondo_renderer::backing::Backing>,
    rect: Rect,
    offset: u64,
) -> Result<Work, WorkError> {
    Work::upload(Upload {
        image: Arc::clone(image),
        backing: Arc::clone(backing),
        rect,
        offset,
    })
}

#[test]
fn given_linux_damage_of_one_row_then_that_row_arrives_and_no_other() {
    // D1: adding the rectangle's position to an offset in which the guest has put it already delivers row 2.
    let memory = memory();
    let image = image(size(8, 4));
    let backing = Arc::new(backing(&memory, &[(0, 8 * 4 * 4)]));
    let stride = 8 * 4;
    finish(
        &mut upload(&image, &backing, rect(2, 1, 5, 1), stride + 2 * 4).unwrap(),
        &[64],
    );
    let guest = bytes_of(&memory, &[(0, 128)]);
    let host = image.to_vec();
    for y in 0..4 {
        for x in 0..8 {
            let damaged = y == 1 && (2..7).contains(&x);
            let expected = if damaged {
                pixel(&guest, 8, x, y)
            } else {
                &[0; 4]
            };
            assert_eq!(pixel(&host, 8, x, y), expected, "pixel {x},{y}");
        }
    }
}

#[test]
fn given_damage_in_the_last_row_then_it_arrives_although_the_backing_ends_with_it() {
    // D1's other half: there it copied nothing and answered OK.
    let memory = memory();
    let image = image(size(8, 4));
    let backing = Arc::new(backing(&memory, &[(0x100, 8 * 4 * 4)]));
    finish(
        &mut upload(&image, &backing, rect(7, 3, 1, 1), 124).unwrap(),
        &[1],
    );
    assert_eq!(
        pixel(&image.to_vec(), 8, 7, 3),
        bytes_of(&memory, &[(0x17c, 4)])
    );
}

#[test]
fn given_rows_behind_the_end_of_the_backing_then_it_is_refused_before_a_byte_is_copied() {
    let memory = memory();
    let image = image(size(8, 4));
    let backing = Arc::new(backing(&memory, &[(0, 127)]));
    for (rect, offset, len) in [
        (rect(0, 0, 8, 4), 0, 128),
        (rect(7, 3, 1, 1), 124, 4),
        (rect(0, 0, 1, 2), 96, 36),
        (rect(0, 0, 1, 1), u64::MAX, 4),
        (rect(0, 0, 8, 4), u64::MAX - 127, 128),
    ] {
        let refused = upload(&image, &backing, rect, offset).unwrap_err();
        let out_of_range = OutOfRange {
            offset,
            len,
            available: 127,
        };
        assert_eq!(refused, WorkError::OutsideBacking(out_of_range));
    }
    assert_eq!(image.to_vec(), vec![0; 128]);
}

#[test]
fn given_a_rectangle_that_leaves_the_image_then_it_is_refused() {
    let image = image(size(8, 4));
    let backing = Arc::new(backing(&memory(), &[(0, 0x1_0000)]));
    for rect in [
        rect(0, 0, 9, 1),
        rect(0, 0, 1, 5),
        rect(8, 0, 1, 1),
        rect(u32::MAX, 0, u32::MAX, 1),
        rect(1, u32::MAX, 1, u32::MAX),
    ] {
        assert!(matches!(
            upload(&image, &backing, rect, 0),
            Err(WorkError::OutsideImage { .. })
        ));
    }
}

#[test]
fn given_an_empty_rectangle_then_it_is_done_at_once_wherever_its_offset_points() {
    let image = image(size(8, 4));
    let backing = Arc::new(backing(&memory(), &[]));
    for rect in [rect(0, 0, 0, 4), rect(8, 4, 0, 0), rect(3, 3, 5, 0)] {
        let mut work = upload(&image, &backing, rect, u64::MAX).unwrap();
        assert_eq!(finish(&mut work, &[1]), 1);
    }
}

#[test]
fn given_memory_in_pieces_of_one_byte_then_no_unit_copies_more_than_a_few_of_them() {
    let memory = memory();
    let image = image(size(64, 4));
    let pieces: Vec<_> = (0..1024_u64).map(|i| ((i * 61) % 0x1_0000, 1)).collect();
    let backing = Arc::new(backing(&memory, &pieces));
    let mut work = upload(&image, &backing, rect(0, 0, 64, 4), 0).unwrap();
    // 16 KiB would hold the whole image, but each piece is charged for its start as well.
    let units = finish(&mut work, &[16 << 10]);
    assert!(units >= 1024 / 16, "{units} units");
    assert_eq!(image.to_vec(), bytes_of(&memory, &pieces));
}

#[test]
fn given_sizes_that_no_host_has_then_an_image_is_refused_and_nothing_aborts() {
    // D2: these sizes overflowed the capacity of a vector.
    for size in [
        size(0x3fff_ffff, u32::MAX),
        size(u32::MAX, u32::MAX),
        size(0x4000_0000, 1),
    ] {
        assert!(matches!(
            Image::new(size, FORMAT),
            Err(ImageError::TooLarge(_))
        ));
    }
    // Fits 64-bit sizes, but no address space: exhaustion is an error.
    assert!(matches!(
        Image::new(size(0x3fff_ffff, 0x10_0000), FORMAT),
        Err(ImageError::OutOfMemory(_))
    ));
    for size in [size(0, 1), size(1, 0), size(0, u32::MAX)] {
        assert_eq!(
            Image::new(size, FORMAT).unwrap_err(),
            ImageError::Empty(size)
        );
    }
}

#[test]
fn given_a_guest_that_writes_during_the_copy_then_each_pixel_is_one_that_it_wrote() {
    let memory = memory();
    let all = size(64, 64);
    memory
        .write_slice(&vec![0; 0x4000], GuestAddress(0))
        .unwrap();
    let image = image(all);
    let backing = Arc::new(backing(&memory, &[(0, 0x4000)]));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = 0_u8;
            while !stop.load(Ordering::Relaxed) {
                byte = (byte + 1) % 7;
                memory
                    .write_slice(&vec![byte; 0x4000], GuestAddress(0))
                    .unwrap();
            }
        });
        for _ in 0..200 {
            finish(
                &mut upload(&image, &backing, Rect::whole(all), 0).unwrap(),
                &[900, 5000],
            );
            assert!(image.to_vec().iter().all(|&byte| byte < 7));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn given_a_budget_of_nothing_then_each_unit_still_gets_something_done() {
    let memory = memory();
    let image = image(size(3, 3));
    let backing = Arc::new(backing(&memory, &[(0, 36)]));
    let mut work = upload(&image, &backing, rect(0, 0, 3, 3), 0).unwrap();
    for _ in 0..35 {
        assert_eq!(
            SoftwareRenderer.run(&mut work, UnitBudget::bytes(0)),
            Progress::Preempted
        );
    }
    assert_eq!(
        SoftwareRenderer.run(&mut work, UnitBudget::bytes(0)),
        Progress::Done
    );
    assert_eq!(image.to_vec(), bytes_of(&memory, &[(0, 36)]));
}

#[derive(Clone, Debug)]
struct Case {
    size: Size,
    pieces: Vec<(u64, u32)>,
    uploads: Vec<(Rect, u64)>,
    budgets: Vec<u32>,
}

prop_compose! {
    fn a_case()(width in 1_u32..40, height in 1_u32..40)(
        pieces in prop::collection::vec(
            (prop_oneof![0_u64..0x1_e000, 0xff00_u64..0x1_0100], prop_oneof![0_u32..9, 0_u32..0x1000]),
            0..40,
        ),
        uploads in prop::collection::vec(
            (0..=width, 0..=height, 0..=width + 1, 0..=height + 1, prop_oneof![0_u64..64, 0_u64..0x2000])
                .prop_map(|(x, y, width, height, offset)| (rect(x, y, width, height), offset)),
            1..8,
        ),
        budgets in prop::collection::vec(prop_oneof![0_u32..2000, 0_u32..40_000], 1..6),
        width in Just(width),
        height in Just(height),
    ) -> Case {
        Case { size: size(width, height), pieces, uploads, budgets }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn given_any_uploads_and_any_preemption_then_the_pixels_are_the_models(case in a_case()) {
        let memory = memory();
        let image = image(case.size);
        let guest = bytes_of(&memory, &case.pieces);
        let backing = Arc::new(backing(&memory, &case.pieces));
        let mut model = vec![0; image.to_vec().len()];
        for (rect, offset) in case.uploads {
            let stride = u64::from(case.size.width) * 4;
            let end = offset + u64::from(rect.height).saturating_sub(1) * stride + u64::from(rect.width) * 4;
            let legal = rect.fits(case.size) && (rect.is_empty() || end <= guest.len() as u64);
            match upload(&image, &backing, rect, offset) {
                Ok(mut work) => {
                    prop_assert!(legal);
                    finish(&mut work, &case.budgets);
                    model_upload(&mut model, case.size, &guest, rect, offset);
                }
                Err(_) => prop_assert!(!legal),
            }
            prop_assert_eq!(image.to_vec(), &model[..]);
        }
    }
}
