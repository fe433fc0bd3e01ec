// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Descriptor chains: a request is copied out once, a response is written in, however the driver split them.
//!
//! Guest memory is shared with CPUs that may change it at any time, so each byte of a request is read once, into a buffer
//! that is checked and used; and no more bytes than the command can need, whatever lengths the descriptors claim.

use rondo_protocol::limits::{MAX_FIXED_LEN, MAX_RESPONSE_LEN};
use rondo_protocol::{CtrlHeader, request_len};
use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{Bytes, GuestAddress};

use super::limits::MAX_CHAIN_DESCRIPTORS;
use super::ring_memory::RingMemory;

/// The writable part of a chain, as far as the longest response needs it.
#[derive(Debug, Default)]
pub(crate) struct ResponseSpace {
    /// A driver that splits a response is rare, so one piece needs no allocation.
    first: Piece,
    rest: Vec<Piece>,
    len: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    addr: GuestAddress,
    len: usize,
}

impl ResponseSpace {
    /// Bytes that a response may take; counted no further than the longest one.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, descriptor: &Descriptor) {
        let room = MAX_RESPONSE_LEN.saturating_sub(self.len);
        let len = usize::try_from(descriptor.len())
            .unwrap_or(usize::MAX)
            .min(room);
        if len == 0 {
            return;
        }
        let piece = Piece {
            addr: descriptor.addr(),
            len,
        };
        if self.len == 0 {
            self.first = piece;
        } else {
            self.rest.push(piece);
        }
        self.len = self.len.saturating_add(len);
    }

    /// Writes a response, which fits, and returns how many bytes of it reached guest memory: fewer where the driver gave
    /// addresses that are not memory.
    pub(crate) fn write(&self, memory: &RingMemory<'_>, response: &[u8]) -> u32 {
        let mut left = response;
        let mut written = 0_usize;
        for piece in std::iter::once(&self.first).chain(&self.rest) {
            let Some((here, after)) = left.split_at_checked(piece.len.min(left.len())) else {
                break;
            };
            if here.is_empty() || memory.write_slice(here, piece.addr).is_err() {
                break;
            }
            written = written.saturating_add(here.len());
            left = after;
        }
        u32::try_from(written).unwrap_or(u32::MAX)
    }
}

/// What was read of a chain.
#[derive(Debug)]
pub(crate) struct Copied {
    /// Bytes of the request in the buffer.
    pub len: usize,
    /// A readable descriptor pointed outside of guest memory; the request ends before it and must not be believed.
    pub faulted: bool,
    /// Where the response goes.
    pub space: ResponseSpace,
}

/// Copies the request of `chain` into `buffer`, which grows to the largest request it has seen. `wanted` says of a header
/// whether the command's variable part is worth copying.
pub(crate) fn copy(
    chain: DescriptorChain<&RingMemory<'_>>,
    memory: &RingMemory<'_>,
    buffer: &mut Vec<u8>,
    wanted: impl Fn(&CtrlHeader) -> bool,
) -> Copied {
    let mut copied = Copied {
        len: 0,
        faulted: false,
        space: ResponseSpace::default(),
    };
    let mut needed = MAX_FIXED_LEN;
    let mut sized = false;
    for descriptor in chain.take(MAX_CHAIN_DESCRIPTORS) {
        if descriptor.is_write_only() {
            copied.space.push(&descriptor);
            continue;
        }
        if copied.faulted {
            continue;
        }
        let mut addr = descriptor.addr();
        let mut left = usize::try_from(descriptor.len()).unwrap_or(usize::MAX);
        while left > 0 && copied.len < needed {
            let count = left.min(needed.saturating_sub(copied.len));
            if !read(memory, addr, buffer, copied.len, count) {
                copied.faulted = true;
                break;
            }
            copied.len = copied.len.saturating_add(count);
            left = left.saturating_sub(count);
            let Some(next) = addr.0.checked_add(u64::try_from(count).unwrap_or(u64::MAX)) else {
                break;
            };
            addr = GuestAddress(next);
            if copied.len == needed && !sized {
                sized = true;
                needed = needed.max(full_len(buffer.get(..copied.len), &wanted));
            }
        }
    }
    copied
}

/// Reads `count` bytes behind the first `filled` bytes of `buffer`.
fn read(
    memory: &RingMemory<'_>,
    addr: GuestAddress,
    buffer: &mut Vec<u8>,
    filled: usize,
    count: usize,
) -> bool {
    let end = filled.saturating_add(count);
    if buffer.len() < end {
        buffer.resize(end, 0);
    }
    buffer
        .get_mut(filled..end)
        .is_some_and(|target| memory.read_slice(target, addr).is_ok())
}

/// Bytes of the whole request that begins with `prefix`, 0 if more of it would not be used.
fn full_len(prefix: Option<&[u8]>, wanted: impl Fn(&CtrlHeader) -> bool) -> usize {
    prefix
        .filter(|prefix| CtrlHeader::parse(prefix).is_some_and(|header| wanted(&header)))
        .and_then(|prefix| request_len(prefix).ok())
        .unwrap_or(0)
}
