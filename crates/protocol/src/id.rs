// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The numbers that name things: resources, scanouts, contexts and capability sets.

use core::fmt;
use core::num::NonZeroU32;

use crate::limits::MAX_SCANOUTS;

/// A resource, named by the driver. Never 0: on the wire 0 means "none", which this crate writes as `Option<ResourceId>` where a
/// command allows it and refuses elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(NonZeroU32);

impl ResourceId {
    /// The id with this number; `None` for 0.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number on the wire of an id that may be absent: 0 is "none".
    pub(crate) const fn wire(id: Option<Self>) -> u32 {
        match id {
            Some(id) => id.get(),
            None => 0,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the at most [`MAX_SCANOUTS`] outputs of the device. Whether the device at hand has that many is the device's to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScanoutId(u8);

impl ScanoutId {
    /// The scanout with this number; `None` from [`MAX_SCANOUTS`] up.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "below 16")]
    pub const fn new(id: u32) -> Option<Self> {
        if id < MAX_SCANOUTS {
            Some(Self(id as u8))
        } else {
            None
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// The number as an index into a table of [`MAX_SCANOUTS`] entries.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ScanoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A rendering context, named by the driver in the header of each request. [`ContextId::NONE`] (0) is "no context": 2D work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ContextId(u32);

impl ContextId {
    /// No context: what 2D commands carry.
    pub const NONE: Self = Self(0);

    /// The context with this number.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is "no context".
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A capability set: which 3D protocol a context speaks. Open to numbers this crate does not know; the device decides what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapsetId(u32);

impl CapsetId {
    /// The first edition of virgl (Gallium OpenGL).
    pub const VIRGL: Self = Self(1);
    /// The second edition of virgl.
    pub const VIRGL2: Self = Self(2);
    /// gfxstream's Vulkan streaming protocol.
    pub const GFXSTREAM_VULKAN: Self = Self(3);
    /// Venus, Mesa's Vulkan protocol.
    pub const VENUS: Self = Self(4);
    /// Wayland proxying.
    pub const CROSS_DOMAIN: Self = Self(5);
    /// DRM native contexts.
    pub const DRM: Self = Self(6);

    /// The capability set with this number.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CapsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
