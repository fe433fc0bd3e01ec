// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The memory map that both boot protocols hand over: what an e820 call of a BIOS would have said.

use crate::layout;
use crate::memory::MemorySize;

/// What a range is good for. The numbers are e820's and those of `XEN_HVM_MEMMAP_TYPE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Ram = 1,
    Reserved = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub start: u64,
    pub size: u64,
    pub kind: Kind,
}

/// The map for a machine with `size` bytes of memory, in order, without overlap.
pub(super) fn entries(size: MemorySize) -> Vec<Entry> {
    let span = |start: u64, end: u64, kind| Entry {
        start,
        size: end - start,
        kind,
    };
    let mut map = vec![
        span(0, layout::LOW_RAM_END, Kind::Ram),
        span(layout::LOW_RAM_END, layout::HIGH_RAM_START, Kind::Reserved),
        span(layout::HIGH_RAM_START, size.low_end(), Kind::Ram),
        span(layout::CHIPSET_START, layout::HOLE_END, Kind::Reserved),
    ];
    map.extend(
        size.ranges()
            .iter()
            .skip(1)
            .map(|range| span(range.start, range.start + range.size, Kind::Ram)),
    );
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn map(mib: u64) -> Vec<(u64, u64, Kind)> {
        entries(MemorySize::from_mib(mib).unwrap())
            .iter()
            .map(|e| (e.start, e.start + e.size, e.kind))
            .collect()
    }

    #[test]
    fn given_a_small_machine_then_the_map_has_two_pieces_of_memory() {
        assert_eq!(
            map(32),
            [
                (0, 0x9_FC00, Kind::Ram),
                (0x9_FC00, 0x10_0000, Kind::Reserved),
                (0x10_0000, 0x200_0000, Kind::Ram),
                (0xFEC0_0000, 4 * GIB, Kind::Reserved),
            ]
        );
    }

    #[test]
    fn given_more_than_3_gib_then_the_rest_of_the_memory_comes_after_the_hole() {
        assert_eq!(map(3072).len(), 4);
        assert_eq!(
            map(3584)[2..],
            [
                (0x10_0000, 3 * GIB, Kind::Ram),
                (0xFEC0_0000, 4 * GIB, Kind::Reserved),
                (4 * GIB, 4 * GIB + GIB / 2, Kind::Ram),
            ]
        );
        assert_eq!(map(8192)[4], (4 * GIB, 9 * GIB, Kind::Ram));
    }
}
