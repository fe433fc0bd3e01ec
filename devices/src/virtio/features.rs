// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Feature bits that belong to no device in particular (virtio 1.4, section 6), as masks over the 64-bit feature word.

/// A descriptor may point to a table of descriptors.
pub const VIRTIO_F_INDIRECT_DESC: u64 = 1 << 28;
/// Both sides say from which ring index on they want to be notified.
pub const VIRTIO_F_EVENT_IDX: u64 = 1 << 29;
/// The driver knows virtio 1.0 or later. Every device of this crate offers it and insists on it.
pub const VIRTIO_F_VERSION_1: u64 = 1 << 32;
/// The driver may reset one queue.
pub const VIRTIO_F_RING_RESET: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_bindings::bindings::{virtio_config, virtio_ring};

    #[test]
    fn the_bits_are_those_of_the_kernel_headers() {
        assert_eq!(
            VIRTIO_F_INDIRECT_DESC,
            1 << virtio_ring::VIRTIO_RING_F_INDIRECT_DESC
        );
        assert_eq!(
            VIRTIO_F_EVENT_IDX,
            1 << virtio_ring::VIRTIO_RING_F_EVENT_IDX
        );
        assert_eq!(VIRTIO_F_VERSION_1, 1 << virtio_config::VIRTIO_F_VERSION_1);
        assert_eq!(VIRTIO_F_RING_RESET, 1 << virtio_config::VIRTIO_F_RING_RESET);
    }
}
