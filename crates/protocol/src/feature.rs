// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The feature bits of the GPU device (virtio 1.4, 5.7.3).

/// A GPU feature bit; its value is the bit's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Feature {
    /// `VIRTIO_GPU_F_VIRGL`: 3D mode, that is contexts and command streams.
    Virgl = 0,
    /// `VIRTIO_GPU_F_EDID`: GET_EDID.
    Edid = 1,
    /// `VIRTIO_GPU_F_RESOURCE_UUID`: RESOURCE_ASSIGN_UUID.
    ResourceUuid = 2,
    /// `VIRTIO_GPU_F_RESOURCE_BLOB`: blob resources.
    ResourceBlob = 3,
    /// `VIRTIO_GPU_F_CONTEXT_INIT`: context types and timelines per ring. Needs [`Feature::Virgl`].
    ContextInit = 4,
    /// `VIRTIO_GPU_F_BLOB_ALIGNMENT` (new in 1.4): the `blob_alignment` field of the configuration holds. Needs
    /// [`Feature::ResourceBlob`].
    BlobAlignment = 5,
}

impl Feature {
    /// Every feature, by bit.
    pub const ALL: [Self; 6] = [
        Self::Virgl,
        Self::Edid,
        Self::ResourceUuid,
        Self::ResourceBlob,
        Self::ContextInit,
        Self::BlobAlignment,
    ];

    /// Number of the bit.
    #[must_use]
    pub const fn bit(self) -> u32 {
        self as u32
    }

    /// The bit as a mask over the 64-bit feature word.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Virgl => 1,
            Self::Edid => 1 << 1,
            Self::ResourceUuid => 1 << 2,
            Self::ResourceBlob => 1 << 3,
            Self::ContextInit => 1 << 4,
            Self::BlobAlignment => 1 << 5,
        }
    }

    /// Whether it is among the negotiated `features`.
    #[must_use]
    pub const fn is_in(self, features: u64) -> bool {
        features & self.mask() != 0
    }

    /// The feature that this one may only be offered and accepted together with.
    #[must_use]
    pub const fn requires(self) -> Option<Self> {
        match self {
            Self::ContextInit => Some(Self::Virgl),
            Self::BlobAlignment => Some(Self::ResourceBlob),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_bindings::virtio_gpu as c;

    #[test]
    fn bits_are_those_of_the_kernel_header() {
        let bits = [
            c::VIRTIO_GPU_F_VIRGL,
            c::VIRTIO_GPU_F_EDID,
            c::VIRTIO_GPU_F_RESOURCE_UUID,
            c::VIRTIO_GPU_F_RESOURCE_BLOB,
            c::VIRTIO_GPU_F_CONTEXT_INIT,
            5, // Not in virtio-bindings 0.2.7; virtio 1.4, 5.7.3.
        ];
        assert_eq!(Feature::ALL.map(Feature::bit), bits);
        for feature in Feature::ALL {
            assert_eq!(feature.mask(), 1 << feature.bit());
            assert!(feature.is_in(feature.mask()) && !feature.is_in(!feature.mask()));
        }
    }
}
