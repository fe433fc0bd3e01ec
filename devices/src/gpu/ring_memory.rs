// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guest memory for rings and chains: many small accesses, nearly all of which lie inside one region.
//!
//! vm-memory serves each access, be it two bytes of an index, by an iterator over the regions that it may cross. A command
//! takes about ten of them, which were half of what a small command costs. Here the region is looked up once; only an access
//! that really crosses a border takes the long way. What is readable and what is an error stays the same.

use std::iter::FusedIterator;

use vm_memory::guest_memory::GuestMemorySliceIterator;
use vm_memory::{
    GuestAddress, GuestMemory, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryResult, Permissions,
    VolatileSlice,
};

/// A VM's memory while a queue is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingMemory<'m>(&'m GuestMemoryMmap);

impl<'m> RingMemory<'m> {
    pub(crate) const fn new(memory: &'m GuestMemoryMmap) -> Self {
        Self(memory)
    }
}

impl GuestMemory for RingMemory<'_> {
    type PhysicalMemory = GuestMemoryMmap;
    type Bitmap = ();

    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool {
        GuestMemory::check_range(self.0, addr, count, access)
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> GuestMemoryResult<impl GuestMemorySliceIterator<'a, ()>> {
        Ok(match self.0.get_slice(addr, count) {
            Ok(slice) if count > 0 => Slices::One(Some(slice)),
            _ => Slices::Many(GuestMemory::get_slices(self.0, addr, count, access)?),
        })
    }

    fn physical_memory(&self) -> Option<&GuestMemoryMmap> {
        Some(self.0)
    }
}

/// The pieces of an access.
enum Slices<'a, I> {
    /// All of it.
    One(Option<VolatileSlice<'a>>),
    /// It crosses a border, or leaves the memory.
    Many(I),
}

impl<'a, I: GuestMemorySliceIterator<'a, ()>> Iterator for Slices<'a, I> {
    type Item = GuestMemoryResult<VolatileSlice<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(slice) => slice.take().map(Ok),
            Self::Many(slices) => slices.next(),
        }
    }
}

impl<'a, I: GuestMemorySliceIterator<'a, ()>> FusedIterator for Slices<'a, I> {}

impl<'a, I: GuestMemorySliceIterator<'a, ()>> GuestMemorySliceIterator<'a, ()> for Slices<'a, I> {
    fn stop_on_error(self) -> GuestMemoryResult<impl Iterator<Item = VolatileSlice<'a>>> {
        let (first, rest) = match self {
            Self::One(slice) => (slice, None),
            Self::Many(mut slices) => (slices.next().transpose()?, Some(slices)),
        };
        let rest = rest.into_iter().flatten().map_while(Result::ok);
        Ok(first.into_iter().chain(rest))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use vm_memory::Bytes;

    use super::*;

    /// Two regions that touch, then a hole, then a third one.
    fn memory() -> GuestMemoryMmap {
        let regions = [(0, 0x1000), (0x1000, 0x1000), (0x4000, 0x1000)];
        let memory =
            GuestMemoryMmap::from_ranges(&regions.map(|(at, len)| (GuestAddress(at), len)))
                .expect("three small regions");
        for (start, len) in regions {
            let bytes: Vec<u8> = (0..len)
                .map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1])
                .collect();
            memory
                .write_slice(&bytes, GuestAddress(start))
                .expect("a whole region");
        }
        memory
    }

    const PLACES: [u64; 10] = [
        0,
        0xff0,
        0xfff,
        0x1000,
        0x1ff8,
        0x1fff,
        0x2000,
        0x3fff,
        0x4ff8,
        u64::MAX - 3,
    ];

    #[test]
    fn reads_give_the_bytes_and_the_errors_that_vm_memory_gives() {
        let memory = memory();
        for (place, len) in PLACES
            .into_iter()
            .flat_map(|place| [0, 1, 2, 8, 16, 0x1800].map(|len| (place, len)))
        {
            let (mut ours, mut theirs) = (vec![0_u8; len], vec![0_u8; len]);
            let at = GuestAddress(place);
            let ring = RingMemory::new(&memory);
            assert_eq!(
                ring.read_slice(&mut ours, at).map_err(|e| e.to_string()),
                memory
                    .read_slice(&mut theirs, at)
                    .map_err(|e| e.to_string()),
                "{len} bytes at {place:#x}"
            );
            assert_eq!(ours, theirs, "{len} bytes at {place:#x}");
            assert_eq!(
                ring.load::<u16>(at, Ordering::Acquire).ok(),
                memory.load::<u16>(at, Ordering::Acquire).ok(),
                "an index at {place:#x}"
            );
            assert_eq!(
                ring.check_range(at, len, Permissions::Read),
                GuestMemory::check_range(&memory, at, len, Permissions::Read),
                "{len} bytes at {place:#x}"
            );
        }
    }

    #[test]
    fn writes_reach_the_bytes_that_vm_memory_writes_across_a_border_too() {
        let (ours, theirs) = (memory(), memory());
        for place in PLACES {
            let at = GuestAddress(place);
            let done = RingMemory::new(&ours).write_slice(&[0xee; 12], at);
            let expected = theirs.write_slice(&[0xee; 12], at);
            assert_eq!(done.is_ok(), expected.is_ok(), "12 bytes at {place:#x}");
        }
        for (start, len) in [(0, 0x2000), (0x4000, 0x1000)] {
            let (mut left, mut right) = (vec![0; len], vec![0; len]);
            let at = GuestAddress(start);
            ours.read_slice(&mut left, at).expect("memory");
            theirs.read_slice(&mut right, at).expect("memory");
            assert!(left == right, "memory at {start:#x}");
        }
    }
}
