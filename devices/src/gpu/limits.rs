// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What one guest may take of the host, each with its reason.

/// Entries of each virtqueue. Linux waits forever for a chain that is longer than the ring where indirect descriptors are
/// missing; 256 also lets a guest queue several frames of work with one notification.
pub const QUEUE_SIZE: u16 = 256;

/// Commands that may be in flight, both queues together: a correct guest cannot have more, and the tables of commands in
/// flight never grow beyond it.
pub const MAX_IN_FLIGHT: usize = 2 * QUEUE_SIZE as usize;

/// Commands taken off the queues before other devices of the event loop get their turn.
pub const DRAIN_BUDGET: u32 = 64;

/// Descriptors of one chain that are looked at. The longest request needs 66 pages of 4 KiB; the rest is room for odd
/// splits. It bounds what a chain of empty descriptors costs the host, which indirect tables would make 65535.
pub const MAX_CHAIN_DESCRIPTORS: usize = 2048;

/// Bytes of requests that wait for earlier commands. Beyond, the control queue is served again only when some of them are
/// done. Enough for the largest request and hundreds of others.
pub const MAX_WAITING_BYTES: usize = 1 << 20;

/// Resources that may exist. Linux creates a few per window; beyond, creation answers ERR_OUT_OF_MEMORY. Their pixels and
/// page tables are counted by the driver against the VM's memory limit; this bounds the table of their names.
pub const MAX_RESOURCES: usize = 1 << 16;
