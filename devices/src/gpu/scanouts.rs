// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What each scanout and each cursor shows: the device's memory of what it told the driver.

use rondo_protocol::limits::MAX_SCANOUTS_LEN;
use rondo_protocol::{ErrorCode, ResourceId, ScanoutId};
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::Size;

/// One scanout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scanout {
    shows: Option<ResourceId>,
    mode: Option<Mode>,
    cursor: Option<ResourceId>,
}

/// The shape of a scanout's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Pixels.
    pub size: Size,
    /// Order of bytes.
    pub format: PixelFormat,
}

/// All scanouts.
#[derive(Debug)]
pub(crate) struct Scanouts {
    scanouts: [Scanout; MAX_SCANOUTS_LEN],
    count: u32,
}

/// The bit of a scanout in a mask of scanouts.
pub(crate) fn bit(scanout: ScanoutId) -> u16 {
    1_u16.checked_shl(scanout.get()).unwrap_or(0)
}

impl Scanouts {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            scanouts: [Scanout::default(); MAX_SCANOUTS_LEN],
            count,
        }
    }

    /// Whether this device has the scanout.
    pub(crate) fn check(&self, scanout: ScanoutId) -> Result<(), ErrorCode> {
        if scanout.get() < self.count {
            Ok(())
        } else {
            Err(ErrorCode::InvalidScanoutId)
        }
    }

    /// The scanouts that show `resource`.
    pub(crate) fn showing(&self, resource: ResourceId) -> u16 {
        self.mask(|scanout| scanout.shows == Some(resource))
    }

    /// The scanouts whose cursor has its picture from `resource`.
    pub(crate) fn pointing(&self, resource: ResourceId) -> u16 {
        self.mask(|scanout| scanout.cursor == Some(resource))
    }

    fn mask(&self, is: impl Fn(&Scanout) -> bool) -> u16 {
        (0_u32..)
            .zip(&self.scanouts)
            .filter(|(_, scanout)| is(scanout))
            .filter_map(|(id, _)| ScanoutId::new(id))
            .fold(0, |mask, id| mask | bit(id))
    }

    /// The scanouts that show anything.
    pub(crate) fn lit(&self) -> impl Iterator<Item = ScanoutId> {
        self.ids(|scanout| scanout.shows.is_some())
    }

    /// The scanouts with a cursor.
    pub(crate) fn with_cursor(&self) -> impl Iterator<Item = ScanoutId> {
        self.ids(|scanout| scanout.cursor.is_some())
    }

    fn ids(&self, is: impl Fn(&Scanout) -> bool) -> impl Iterator<Item = ScanoutId> {
        (0_u32..)
            .zip(&self.scanouts)
            .filter(move |(_, scanout)| is(scanout))
            .filter_map(|(id, _)| ScanoutId::new(id))
    }

    /// The mode that the driver was last told; `None` while the scanout is dark.
    pub(crate) fn mode(&self, scanout: ScanoutId) -> Option<Mode> {
        self.scanouts.get(scanout.index())?.mode
    }

    pub(crate) fn set_mode(&mut self, scanout: ScanoutId, mode: Option<Mode>) {
        if let Some(scanout) = self.scanouts.get_mut(scanout.index()) {
            scanout.mode = mode;
        }
    }

    pub(crate) fn show(&mut self, scanout: ScanoutId, resource: Option<ResourceId>) {
        if let Some(scanout) = self.scanouts.get_mut(scanout.index()) {
            scanout.shows = resource;
        }
    }

    pub(crate) fn set_cursor(&mut self, scanout: ScanoutId, resource: Option<ResourceId>) {
        if let Some(scanout) = self.scanouts.get_mut(scanout.index()) {
            scanout.cursor = resource;
        }
    }

    /// The resource is gone: what showed it is dark.
    pub(crate) fn forget(&mut self, resource: ResourceId) {
        for scanout in &mut self.scanouts {
            if scanout.shows == Some(resource) {
                scanout.shows = None;
                scanout.mode = None;
            }
            if scanout.cursor == Some(resource) {
                scanout.cursor = None;
            }
        }
    }
}
