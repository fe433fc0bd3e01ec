// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VMM chooses about the device, and what follows for features and configuration space.

use rondo_protocol::limits::MAX_SCANOUTS;
use rondo_protocol::{Config, EVENT_DISPLAY, Feature};
use thiserror::Error;

use crate::virtio::{VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1};

/// A VMM's choices. Sizes of monitors, memory limit and share of GPU time are the driver's business: they come with the
/// VM's connection and its profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuConfig {
    /// Scanouts, 1 to 16; as many as the VM is connected to the driver with.
    pub scanouts: u32,
    /// Alignment in bytes that blob sizes must have (a power of two), for hosts whose pages are larger than the guest's.
    /// `None`: the feature is not offered.
    pub blob_alignment: Option<u32>,
}

impl Default for GpuConfig {
    fn default() -> Self {
        Self {
            scanouts: 1,
            blob_alignment: None,
        }
    }
}

/// A choice that no device can have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The number of scanouts.
    #[error("scanouts = {0}: a virtio-gpu has 1 to {MAX_SCANOUTS} scanouts")]
    Scanouts(u32),
    /// The alignment of blobs.
    #[error("blob_alignment = {0}: it must be a power of two")]
    BlobAlignment(u32),
}

impl GpuConfig {
    /// Checks the choices.
    ///
    /// # Errors
    /// Says which one is impossible.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_SCANOUTS).contains(&self.scanouts) {
            return Err(ConfigError::Scanouts(self.scanouts));
        }
        match self.blob_alignment {
            Some(alignment) if !alignment.is_power_of_two() => {
                Err(ConfigError::BlobAlignment(alignment))
            }
            _ => Ok(()),
        }
    }

    /// The features offered: each one's commands work.
    pub(crate) fn features(&self) -> u64 {
        let base = VIRTIO_F_VERSION_1
            | VIRTIO_F_INDIRECT_DESC
            | VIRTIO_F_EVENT_IDX
            | Feature::Edid.mask()
            | Feature::ResourceUuid.mask()
            | Feature::ResourceBlob.mask();
        match self.blob_alignment {
            Some(_) => base | Feature::BlobAlignment.mask(),
            None => base,
        }
    }

    /// Whether each feature taken has the one it needs.
    pub(crate) fn accepts(features: u64) -> bool {
        Feature::ALL.into_iter().all(|feature| {
            !feature.is_in(features)
                || feature
                    .requires()
                    .is_none_or(|needed| needed.is_in(features))
        })
    }

    /// The configuration space as the driver reads it now.
    pub(crate) fn space(&self, display_event: bool) -> [u8; Config::LEN] {
        Config {
            events_read: if display_event { EVENT_DISPLAY } else { 0 },
            events_clear: 0,
            num_scanouts: self.scanouts,
            num_capsets: 0,
            blob_alignment: self.blob_alignment.unwrap_or(0),
        }
        .to_bytes()
    }
}

/// The bits that a write of `data` at `offset` sets in `events_clear`, whatever part of the field it covers.
pub(crate) fn events_cleared(offset: u64, data: &[u8]) -> u32 {
    let mut field = [0_u8; 4];
    for (index, byte) in data.iter().enumerate() {
        let index =
            place(offset, index).and_then(|place| place.checked_sub(Config::EVENTS_CLEAR_OFFSET));
        if let Some(slot) = index.and_then(|index| field.get_mut(index)) {
            *slot = *byte;
        }
    }
    u32::from_le_bytes(field)
}

/// The byte of the configuration space that byte `index` of an access at `offset` is about.
pub(crate) fn place(offset: u64, index: usize) -> Option<usize> {
    usize::try_from(offset).ok()?.checked_add(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_sixteen_scanouts_and_powers_of_two_are_possible() {
        for scanouts in 0..40 {
            let config = GpuConfig {
                scanouts,
                ..GpuConfig::default()
            };
            assert_eq!(config.check().is_ok(), (1..=16).contains(&scanouts));
        }
        for alignment in [0, 3, 4097] {
            let config = GpuConfig {
                blob_alignment: Some(alignment),
                ..GpuConfig::default()
            };
            assert_eq!(config.check(), Err(ConfigError::BlobAlignment(alignment)));
        }
    }

    #[test]
    fn a_partial_write_clears_only_the_bits_it_covers() {
        assert_eq!(events_cleared(4, &[1, 0, 0, 0]), 1);
        assert_eq!(events_cleared(4, &[1]), 1);
        assert_eq!(events_cleared(5, &[1]), 0x100);
        assert_eq!(events_cleared(0, &[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]), 1);
        assert_eq!(events_cleared(0, &[0xff; 4]), 0);
        assert_eq!(events_cleared(u64::MAX, &[0xff; 8]), 0);
    }

    #[test]
    fn blob_alignment_needs_blobs() {
        let alone = VIRTIO_F_VERSION_1 | Feature::BlobAlignment.mask();
        assert!(!GpuConfig::accepts(alone));
        assert!(GpuConfig::accepts(alone | Feature::ResourceBlob.mask()));
    }
}
