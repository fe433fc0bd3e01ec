// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! ELF kernels: their segments are checked here, copied by `linux-loader`, and entered by their PVH note if they have one.
//!
//! The note is looked for in every note segment; linkers may write several, and the first with the right owner and type is it.

use linux_loader::loader::{Elf, KernelLoader};

use super::image::Image;
use super::{BootError, LoadedKernel, check_fits};
use crate::layout;
use crate::memory::{GuestMemory, MemorySize};
use crate::vcpu::EntryState;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// `XEN_ELFNOTE_PHYS32_ENTRY`: the 32-bit entry of the PVH boot protocol.
const NOTE_PHYS32_ENTRY: u32 = 18;
const NOTE_OWNER: &[u8] = b"Xen\0";
/// Longest note segment that is searched. Linux's is under 1 KiB.
const NOTES_LIMIT: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
}

pub(super) fn load(
    image: &mut Image<'_>,
    memory: &GuestMemory,
    size: MemorySize,
) -> Result<LoadedKernel, BootError> {
    let header = image.read_at(0, HEADER_SIZE, "it ends within its ELF header")?;
    let entry = u64_at(&header, 24);
    let segments = segments(image, &header)?;
    let mut end = 0;
    for segment in segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD && segment.memory_size > 0)
    {
        if segment.address < layout::HIGH_RAM_START {
            return Err(BootError::KernelTooLow {
                kernel: image.name().to_owned(),
                address: segment.address,
            });
        }
        if segment
            .offset
            .checked_add(segment.file_size)
            .is_none_or(|end| end > image.size())
        {
            return Err(image.damaged("it ends within a segment"));
        }
        if segment.file_size > segment.memory_size {
            return Err(image.damaged("a segment has more bytes in the file than in memory"));
        }
        let segment_end = segment.address.checked_add(segment.memory_size);
        end = end
            .max(segment_end.ok_or_else(|| image.damaged("a segment leaves the address space"))?);
    }
    if end == 0 {
        return Err(image.damaged("it has no loadable segment"));
    }
    check_fits(image, end, size)?;
    let state = match pvh_entry(image, &segments)? {
        Some(entry) => EntryState::Pvh { entry },
        None => EntryState::Linux64 { entry },
    };
    Elf::load(memory, None, image, None).map_err(|error| {
        log::debug!("{error}");
        image.damaged("its segments cannot be loaded")
    })?;
    Ok(LoadedKernel {
        entry: state,
        end,
        initrd_limit: layout::HOLE_START,
        command_line_limit: layout::boot::COMMAND_LINE_SIZE - 1,
        header: None,
    })
}

fn segments(image: &mut Image<'_>, header: &[u8]) -> Result<Vec<Segment>, BootError> {
    let table = u64_at(header, 32);
    let entry_size = usize::from(u16_at(header, 54));
    let count = usize::from(u16_at(header, 56));
    if entry_size != PROGRAM_HEADER_SIZE {
        return Err(image.damaged("its program headers have a wrong size"));
    }
    let bytes = image.read_at(
        table,
        count * PROGRAM_HEADER_SIZE,
        "it ends within its program headers",
    )?;
    let parse = |header: &[u8]| Segment {
        kind: u32_at(header, 0),
        offset: u64_at(header, 8),
        address: u64_at(header, 24),
        file_size: u64_at(header, 32),
        memory_size: u64_at(header, 40),
    };
    Ok(bytes.chunks_exact(PROGRAM_HEADER_SIZE).map(parse).collect())
}

fn pvh_entry(image: &mut Image<'_>, segments: &[Segment]) -> Result<Option<u64>, BootError> {
    for segment in segments
        .iter()
        .filter(|segment| segment.kind == PT_NOTE && segment.file_size <= NOTES_LIMIT)
    {
        let length = usize::try_from(segment.file_size)
            .map_err(|_| image.damaged("its notes are too long"))?;
        let notes = image.read_at(segment.offset, length, "it ends within its notes")?;
        if let Some(entry) = find_pvh_note(&notes) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Walks the notes of one segment. The entry's value is 4 bytes, or 8 in kernels that declare it as a long.
fn find_pvh_note(mut notes: &[u8]) -> Option<u64> {
    const NOTE_HEADER: usize = 12;
    while notes.len() >= NOTE_HEADER {
        let size_at = |offset| usize::try_from(u32_at(notes, offset)).ok();
        let owner_size = size_at(0)?;
        let value_size = size_at(4)?;
        let kind = u32_at(notes, 8);
        let value_start = NOTE_HEADER.checked_add(owner_size.checked_next_multiple_of(4)?)?;
        let next = value_start.checked_add(value_size.checked_next_multiple_of(4)?)?;
        let owner = notes.get(NOTE_HEADER..NOTE_HEADER.checked_add(owner_size)?)?;
        let value = notes.get(value_start..value_start.checked_add(value_size)?)?;
        if kind == NOTE_PHYS32_ENTRY && owner == NOTE_OWNER && value.len() >= 4 {
            return Some(u32_at(value, 0).into());
        }
        notes = notes.get(next..)?;
    }
    None
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk::<N>());
    debug_assert!(field.is_some(), "the caller checked the length");
    field.copied().unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, value: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        note.extend(u32::try_from(owner.len()).unwrap().to_le_bytes());
        note.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        note.extend(kind.to_le_bytes());
        for part in [owner, value] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn given_notes_of_others_before_it_then_the_pvh_note_is_found() {
        let pvh = note(NOTE_OWNER, NOTE_PHYS32_ENTRY, &0x10_0040_u32.to_le_bytes());
        let other = note(b"GNU\0", 3, &[7; 5]);
        let same_owner = note(NOTE_OWNER, 6, b"linux\0");
        let same_kind = note(b"Foo\0", NOTE_PHYS32_ENTRY, &[9; 8]);
        assert_eq!(
            find_pvh_note(&[other.clone(), same_owner, same_kind, pvh.clone()].concat()),
            Some(0x10_0040)
        );
        let long = note(NOTE_OWNER, NOTE_PHYS32_ENTRY, &0x100_0000_u64.to_le_bytes());
        assert_eq!(find_pvh_note(&long), Some(0x100_0000));
        assert_eq!(find_pvh_note(&other), None);
    }

    #[test]
    fn given_notes_cut_anywhere_or_with_endless_sizes_then_the_search_ends_without_a_find() {
        let notes = [
            note(b"GNU\0", 3, &[7; 20]),
            note(NOTE_OWNER, NOTE_PHYS32_ENTRY, &[1, 2, 3, 4]),
        ]
        .concat();
        for length in 0..notes.len() {
            assert_eq!(find_pvh_note(&notes[..length]), None, "cut at {length}");
        }
        let mut endless = notes;
        endless[..8].fill(0xFF);
        assert_eq!(find_pvh_note(&endless), None);
    }
}
