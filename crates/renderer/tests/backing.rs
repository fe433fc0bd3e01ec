// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guest memory behind an allocation: what a hostile guest may name, and what is read of it.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod world;

use proptest::prelude::*;
use rondo_renderer::backing::{Backing, BackingError, OutOfRange};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use world::{backing, bytes_of, in_memory, memory};

fn try_backing(memory: &GuestMemoryMmap, pieces: &[(u64, u32)]) -> Result<Backing, BackingError> {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|&(addr, len)| (GuestAddress(addr), len))
        .collect();
    Backing::new(memory, pieces)
}

#[test]
fn given_no_pieces_then_the_backing_is_empty_and_reads_nothing() {
    let backing = backing(&memory(), &[]);
    assert!(backing.is_empty());
    assert_eq!(backing.read(0, &mut []), Ok(()));
    assert_eq!(
        backing.read(0, &mut [0]),
        Err(OutOfRange {
            offset: 0,
            len: 1,
            available: 0
        })
    );
}

#[test]
fn given_empty_pieces_anywhere_even_outside_of_memory_then_they_are_skipped() {
    let memory = memory();
    let pieces = [(0, 0), (u64::MAX, 0), (0x100, 8), (0x2_8000, 0), (0x200, 8)];
    let backing = backing(&memory, &pieces);
    let mut read = [0; 16];
    backing.read(0, &mut read).unwrap();
    assert_eq!(read.to_vec(), bytes_of(&memory, &[(0x100, 8), (0x200, 8)]));
}

#[test]
fn given_a_piece_across_two_regions_that_touch_then_it_is_read_across_the_border() {
    let memory = memory();
    let pieces = [(0xfffe, 4)];
    let mut read = [0; 4];
    backing(&memory, &pieces).read(0, &mut read).unwrap();
    assert_eq!(read.to_vec(), bytes_of(&memory, &pieces));
}

#[test]
fn given_a_piece_that_leaves_memory_anywhere_then_it_is_refused_and_named() {
    let memory = memory();
    let outside = [
        (0x1_fffc, 8),     // the end runs into the hole
        (0x2_8000, 1),     // inside the hole
        (0x2_fffc, 8),     // the start lies in the hole
        (0x3_fffc, 8),     // the end leaves the last region
        (0x4_0000, 1),     // just behind it
        (0, u32::MAX),     // across everything
        (u64::MAX, 1),     // the last address
        (u64::MAX - 3, 8), // the address wraps
    ];
    for (addr, len) in outside {
        assert_eq!(
            try_backing(&memory, &[(0, 16), (addr, len)]).err(),
            Some(BackingError::OutsideMemory {
                index: 1,
                addr,
                len
            }),
        );
    }
}

#[test]
fn given_neighbouring_pieces_then_they_read_like_one() {
    let memory = memory();
    let pieces = [
        (0x1000, 0x1000),
        (0x2000, 0x1000),
        (0xf000, 0x1000),
        (0x1_0000, 0x1000),
    ];
    let backing = backing(&memory, &pieces);
    let mut read = vec![0; backing.len() as usize];
    backing.read(0, &mut read).unwrap();
    assert_eq!(read, bytes_of(&memory, &pieces));
}

#[test]
fn given_pieces_at_the_same_place_of_different_regions_then_they_are_no_neighbours() {
    let memory = memory();
    let pieces = [(0x100, 0x100), (0x1_0200, 0x100), (0x3_0300, 0x100)];
    let mut read = vec![0; 0x300];
    backing(&memory, &pieces).read(0, &mut read).unwrap();
    assert_eq!(read, bytes_of(&memory, &pieces));
}

#[test]
fn given_an_out_of_range_read_then_nothing_is_copied() {
    let backing = backing(&memory(), &[(0, 64)]);
    for (offset, len) in [(0, 65), (64, 1), (63, 2), (u64::MAX, 1), (u64::MAX, 64)] {
        let mut target = vec![0xee; len];
        assert_eq!(
            backing.read(offset, &mut target),
            Err(OutOfRange {
                offset,
                len: len as u64,
                available: 64
            })
        );
        assert_eq!(target, vec![0xee; len]);
    }
}

#[test]
fn given_the_memory_map_is_gone_then_a_backing_still_reads_it() {
    let memory = memory();
    let expected = bytes_of(&memory, &[(0x1234, 32)]);
    let backing = backing(&memory, &[(0x1234, 32)]);
    drop(memory);
    let mut read = [0; 32];
    backing.read(0, &mut read).unwrap();
    assert_eq!(read.to_vec(), expected);
}

prop_compose! {
    fn a_piece()(
        addr in prop_oneof![0_u64..0x4_1000, 0xfff0_u64..0x1_0010, 0x1_fff0_u64..0x2_0010, any::<u64>()],
        len in prop_oneof![0_u32..64, 0_u32..0x3000],
    ) -> (u64, u32) {
        (addr, len)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn given_any_pieces_then_they_attach_if_and_only_if_each_is_in_memory(
        pieces in prop::collection::vec(a_piece(), 0..4),
    ) {
        let memory = memory();
        let fits = pieces.iter().all(|&(addr, len)| {
            len == 0 || (addr.checked_add(u64::from(len)).is_some() && in_memory(addr, u64::from(len)))
        });
        prop_assert_eq!(try_backing(&memory, &pieces).is_ok(), fits);
    }

    #[test]
    fn given_any_pieces_then_any_read_is_what_they_say_byte_by_byte(
        pieces in prop::collection::vec(
            (prop_oneof![0_u64..0x1_f000, 0x3_0000_u64..0x3_f000, 0xff00_u64..0x1_0100], prop_oneof![0_u32..40, 0_u32..0x1000]),
            0..40,
        ),
        reads in prop::collection::vec((0_u64..0x6000, 0_usize..0x2000), 1..20),
    ) {
        let memory = memory();
        let expected = bytes_of(&memory, &pieces);
        let backing = backing(&memory, &pieces);
        prop_assert_eq!(backing.len(), expected.len() as u64);
        prop_assert_eq!(backing.memory(), Backing::memory_for(&memory, pieces.len()));
        for (offset, len) in reads {
            let mut read = vec![0xee; len];
            let model = expected.get(offset as usize..).and_then(|rest| rest.get(..len));
            prop_assert_eq!(backing.read(offset, &mut read).is_ok(), model.is_some());
            let untouched = vec![0xee; len];
            prop_assert_eq!(&read[..], model.unwrap_or(&untouched));
        }
    }
}
