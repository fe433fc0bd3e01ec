// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device configuration space (`struct virtio_gpu_config`; virtio 1.4, 5.7.4).

use zerocopy::IntoBytes;

use crate::wire;

/// Device id of a GPU (virtio 1.4, 5.7.1).
pub const VIRTIO_ID_GPU: u32 = 16;

/// `VIRTIO_GPU_EVENT_DISPLAY`: the displays changed; the driver reads them again.
pub const EVENT_DISPLAY: u32 = 1;

/// `VIRTIO_GPU_SHM_ID_HOST_VISIBLE`: the shared memory region that MAP_BLOB maps into.
pub const SHM_ID_HOST_VISIBLE: u8 = 1;

/// The configuration as the driver reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Pending events; read-only to the driver.
    pub events_read: u32,
    /// The driver writes 1 into the bits of `events_read` to clear.
    pub events_clear: u32,
    /// Scanouts, 1 to 16.
    pub num_scanouts: u32,
    /// Capability sets, exactly: Linux waits 5 s for each that is claimed and not there.
    pub num_capsets: u32,
    /// Alignment of blob sizes and mapping offsets in bytes, a power of two. Holds with
    /// [`Feature::BlobAlignment`](crate::Feature::BlobAlignment) (new in virtio 1.4).
    pub blob_alignment: u32,
}

impl Config {
    /// Bytes of the configuration.
    pub const LEN: usize = size_of::<wire::Config>();
    /// Offset of `events_read`.
    pub const EVENTS_READ_OFFSET: usize = core::mem::offset_of!(wire::Config, events_read);
    /// Offset of `events_clear`, the only field that a driver writes.
    pub const EVENTS_CLEAR_OFFSET: usize = core::mem::offset_of!(wire::Config, events_clear);

    /// The bytes that the driver reads.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(wire::Config {
            events_read: self.events_read.into(),
            events_clear: self.events_clear.into(),
            num_scanouts: self.num_scanouts.into(),
            num_capsets: self.num_capsets.into(),
            blob_alignment: self.blob_alignment.into(),
        })
    }

    /// The configuration in these bytes. A device of virtio 1.3 or older has four fields; `blob_alignment` is then 1.
    /// `None` if even those are not there.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut padded = wire::Config {
            events_read: 0.into(),
            events_clear: 0.into(),
            num_scanouts: 0.into(),
            num_capsets: 0.into(),
            blob_alignment: 1.into(),
        };
        let old_len = core::mem::offset_of!(wire::Config, blob_alignment);
        let length = if bytes.len() >= Self::LEN {
            Self::LEN
        } else {
            old_len
        };
        padded
            .as_mut_bytes()
            .get_mut(..length)?
            .copy_from_slice(bytes.get(..length)?);
        Some(Self {
            events_read: padded.events_read.get(),
            events_clear: padded.events_clear.get(),
            num_scanouts: padded.num_scanouts.get(),
            num_capsets: padded.num_capsets.get(),
            blob_alignment: padded.blob_alignment.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        events_read: 1,
        events_clear: 0,
        num_scanouts: 2,
        num_capsets: 3,
        blob_alignment: 0x4000,
    };

    #[test]
    fn fields_lie_where_the_specification_puts_them() {
        assert_eq!(
            CONFIG.to_bytes(),
            [
                1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0x40, 0, 0
            ]
        );
        assert_eq!(
            (
                Config::EVENTS_READ_OFFSET,
                Config::EVENTS_CLEAR_OFFSET,
                Config::LEN
            ),
            (0, 4, 20)
        );
    }

    #[test]
    fn both_lengths_are_read_and_shorter_ones_refused() {
        let bytes = CONFIG.to_bytes();
        assert_eq!(Config::from_bytes(&bytes), Some(CONFIG));
        for length in 16..20 {
            assert_eq!(
                Config::from_bytes(&bytes[..length]),
                Some(Config {
                    blob_alignment: 1,
                    ..CONFIG
                })
            );
        }
        for length in 0..16 {
            assert_eq!(Config::from_bytes(&bytes[..length]), None);
        }
    }
}
