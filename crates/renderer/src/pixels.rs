// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Pixel buffers that a finished frame can be handed over in, instead of being copied.
//!
//! An image and the screen that shows it each own one buffer. A flip makes both show the image's buffer; the screen's
//! old one stays with the shared buffer as its *spare*. Whoever wants to write next takes the spare and leaves the
//! shared buffer to the other. So a frame that is transferred whole and flushed whole is copied once, a screen still
//! shows exactly what was flushed last, and nothing is allocated: as many buffers exist as there are owners.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

/// The host has no memory left for a buffer or table of this size.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no host memory for {bytes} bytes")]
pub struct OutOfMemory {
    /// Bytes that were asked for.
    pub bytes: u64,
}

/// One owner's hold on a buffer of pixels, which other owners may share. Only an exclusive holder can write.
pub struct PixelBuffer {
    shared: Arc<Shared>,
    /// Whether one of the spares, if there are any, is this owner's.
    owns_spare: bool,
}

struct Shared {
    bytes: Pixels,
    /// Head of the list of spares: one fewer than there are owners. A spare's own `spare` is the next one.
    spare: Mutex<Option<PixelBuffer>>,
}

impl Shared {
    fn spare(&self) -> MutexGuard<'_, Option<PixelBuffer>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PixelBuffer {
    /// A buffer of `len` zero bytes. Large ones take no physical memory until they are written.
    ///
    /// # Errors
    /// [`OutOfMemory`]; the process is never aborted.
    pub fn zeroed(len: usize) -> Result<Self, OutOfMemory> {
        Ok(Self {
            shared: Arc::new(Shared {
                bytes: Pixels::zeroed(len)?,
                spare: Mutex::new(None),
            }),
            owns_spare: true,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.shared.bytes.as_slice()
    }

    /// The bytes, to write to; `None` while others show them too: then [`PixelBuffer::detach`] a buffer, fill it, and
    /// put it in this one's place.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.shared).map(|shared| shared.bytes.as_mut_slice())
    }

    /// Whether nobody else shows these bytes.
    #[must_use]
    pub fn is_exclusive(&mut self) -> bool {
        Arc::get_mut(&mut self.shared).is_some()
    }

    /// Whether both are holds on the same bytes.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Takes this owner's spare out of a shared buffer: an exclusive buffer of the same length with arbitrary old
    /// content. It is meant to replace `self` once it has been filled.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the spare is gone (its owner gave up half way) and no new one can be had.
    pub fn detach(&mut self) -> Result<Self, OutOfMemory> {
        match self.take_spare() {
            Some(spare) => Ok(spare),
            None => Self::zeroed(self.shared.bytes.len),
        }
    }

    /// Makes `owner` show these bytes; what it showed before is left to its other owners, if any. Nothing is copied or
    /// allocated.
    ///
    /// # Errors
    /// [`LengthMismatch`]; `owner` is unchanged.
    pub fn flip_into(&self, owner: &mut Self) -> Result<(), LengthMismatch> {
        if self.shared.bytes.len != owner.shared.bytes.len {
            return Err(LengthMismatch);
        }
        if self.is_same(owner) {
            return Ok(());
        }
        let mut old = std::mem::replace(
            owner,
            Self {
                shared: Arc::clone(&self.shared),
                owns_spare: false,
            },
        );
        let brought = if old.is_exclusive() {
            Some(old)
        } else {
            old.take_spare()
        };
        if let Some(mut brought) = brought {
            brought.owns_spare = true;
            owner.owns_spare = true;
            let mut head = self.shared.spare();
            *brought.shared.spare() = head.take();
            *head = Some(brought);
        }
        Ok(())
    }

    fn take_spare(&mut self) -> Option<Self> {
        if !self.owns_spare {
            return None;
        }
        let mut head = self.shared.spare();
        let spare = head.take()?;
        *head = spare.shared.spare().take();
        drop(head);
        self.owns_spare = false;
        Some(spare)
    }
}

impl Drop for PixelBuffer {
    fn drop(&mut self) {
        // An owner that goes takes its share of the memory along. The last one's spares go with the buffer.
        if Arc::strong_count(&self.shared) > 1 {
            drop(self.take_spare());
        }
    }
}

impl fmt::Debug for PixelBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PixelBuffer")
            .field("len", &self.shared.bytes.len)
            .field("owners", &Arc::strong_count(&self.shared))
            .finish()
    }
}

/// The two buffers have different lengths, so neither can stand for the other.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the buffers have different lengths")]
pub struct LengthMismatch;

/// Bytes that begin on a cache line.
///
/// Guest frames begin on a page, so that source and target of a copy are aligned alike. An allocator's large blocks begin 16
/// bytes behind a page; every store of such a copy then touches two cache lines, and it takes 4 to 8 % longer (measured with 64-byte
/// stores).
struct Pixels {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Pixels {
    const CACHE_LINE: usize = 64;

    fn zeroed(len: usize) -> Result<Self, OutOfMemory> {
        let out_of_memory = OutOfMemory { bytes: len as u64 };
        let padded = match len {
            0 => 0,
            _ => len.checked_add(Self::CACHE_LINE - 1).ok_or(out_of_memory)?,
        };
        let memory = zeroed_vec(padded).map_err(|_| out_of_memory)?;
        // The padding has room for any start that is needed.
        let start = memory.as_ptr().align_offset(Self::CACHE_LINE);
        Ok(Self {
            start: start.min(padded.saturating_sub(len)),
            memory,
            len,
        })
    }

    fn as_slice(&self) -> &[u8] {
        let from_start = self.memory.get(self.start..).unwrap_or_default();
        from_start.get(..self.len).unwrap_or_default()
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        let from_start = self.memory.get_mut(self.start..).unwrap_or_default();
        from_start.get_mut(..self.len).unwrap_or_default()
    }
}

/// Zero bytes straight from the allocator: it maps large blocks lazily, so that creating an image costs the same for
/// every size and the pages are paid for by the upload that fills them. `Vec::resize` would write them all at once.
fn zeroed_vec(len: usize) -> Result<Vec<u8>, OutOfMemory> {
    let out_of_memory = OutOfMemory { bytes: len as u64 };
    if len == 0 {
        return Ok(Vec::new());
    }
    let layout = Layout::array::<u8>(len).map_err(|_| out_of_memory)?;
    // SAFETY: the layout has a size other than zero.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(out_of_memory);
    }
    // SAFETY: the global allocator gave `start` for `len` bytes of alignment 1, which is the layout of a `Vec<u8>` with
    // this capacity, and all of them are initialised (zero). Nobody else has the pointer.
    Ok(unsafe { Vec::from_raw_parts(start, len, len) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn buffer(byte: u8) -> PixelBuffer {
        let mut buffer = PixelBuffer::zeroed(4).unwrap();
        buffer.bytes_mut().unwrap().fill(byte);
        buffer
    }

    #[test]
    fn given_more_bytes_than_there_are_addresses_then_it_is_an_error() {
        for len in [usize::MAX, isize::MAX.unsigned_abs()] {
            let bytes = len as u64;
            assert_eq!(PixelBuffer::zeroed(len).unwrap_err(), OutOfMemory { bytes });
        }
        assert_eq!(PixelBuffer::zeroed(0).unwrap().bytes(), &[0_u8; 0]);
    }

    #[test]
    fn given_any_length_then_the_bytes_are_as_many_are_zero_and_begin_on_a_cache_line() {
        for len in [1, 63, 64, 65, 4096, 1280 * 800 * 4, 1920 * 1080 * 4 + 4] {
            let buffer = PixelBuffer::zeroed(len).unwrap();
            assert_eq!(buffer.bytes().len(), len);
            assert_eq!(
                buffer.bytes().as_ptr().addr() % Pixels::CACHE_LINE,
                0,
                "{len}"
            );
            assert!(buffer.bytes().iter().all(|&byte| byte == 0), "{len}");
        }
    }

    #[test]
    fn given_a_flip_then_both_show_the_bytes_and_neither_can_change_them() {
        let (mut image, mut screen) = (buffer(1), buffer(2));
        image.flip_into(&mut screen).unwrap();
        assert_eq!(screen.bytes(), &[1; 4]);
        assert!(image.is_same(&screen));
        assert!(image.bytes_mut().is_none() && screen.bytes_mut().is_none());
    }

    #[test]
    fn given_a_flip_then_a_detached_buffer_is_the_one_that_the_other_brought() {
        let (mut image, mut screen) = (buffer(1), buffer(2));
        image.flip_into(&mut screen).unwrap();
        image = image.detach().unwrap();
        assert_eq!(image.bytes_mut().unwrap(), &[2; 4]);
        assert_eq!(screen.bytes_mut().unwrap(), &[1; 4]);
    }

    #[test]
    fn given_an_owner_goes_then_the_rest_keep_one_buffer_each() {
        let (mut image, mut left, mut right) = (buffer(1), buffer(2), buffer(3));
        image.flip_into(&mut left).unwrap();
        image.flip_into(&mut right).unwrap();
        drop(left);
        image = image.detach().unwrap();
        assert!(image.is_exclusive() && right.is_exclusive());
        assert_eq!(right.bytes(), &[1; 4]);
        assert!(
            right.shared.spare().is_none(),
            "one spare went with each owner"
        );
    }

    #[test]
    fn given_a_flip_to_another_image_then_the_first_one_is_its_owners_again() {
        let (mut first, mut second, mut screen) = (buffer(1), buffer(2), buffer(3));
        first.flip_into(&mut screen).unwrap();
        second.flip_into(&mut screen).unwrap();
        assert_eq!(first.bytes_mut().unwrap(), &[1; 4]);
        assert_eq!(screen.bytes(), &[2; 4]);
        assert_eq!(second.detach().unwrap().bytes(), &[3; 4]);
    }

    #[test]
    fn given_buffers_of_different_lengths_then_they_do_not_flip() {
        let (image, mut screen) = (buffer(1), PixelBuffer::zeroed(8).unwrap());
        assert_eq!(image.flip_into(&mut screen), Err(LengthMismatch));
        assert!(screen.bytes_mut().is_some());
    }
}
