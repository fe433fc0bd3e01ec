// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The resources of a guest: which allocation of the driver each id names, and what a command may do with it.

use std::collections::HashMap;

use rondo_adapter::handle::AllocationHandle;
use rondo_protocol::{ErrorCode, ResourceId};
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::Size;

use super::limits::MAX_RESOURCES;

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The driver's name for it.
    pub allocation: AllocationHandle,
    /// Image or blob.
    pub kind: Kind,
    /// Bytes of guest memory behind it; `None` without a backing.
    pub backing: Option<u64>,
    /// Its name for other devices, once it has one.
    pub uuid: Option<[u8; 16]>,
}

/// What a resource is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An image on the host.
    Image {
        /// Pixels.
        size: Size,
        /// Order of bytes.
        format: PixelFormat,
    },
    /// Guest memory, read in place.
    Blob {
        /// Bytes.
        size: u64,
    },
}

/// The resources by id.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    by_id: HashMap<ResourceId, Resource>,
}

impl Resources {
    /// Whether a resource with this id may be created.
    pub(crate) fn check_vacant(&self, id: ResourceId) -> Result<(), ErrorCode> {
        if self.by_id.contains_key(&id) {
            return Err(ErrorCode::InvalidResourceId);
        }
        if self.by_id.len() >= MAX_RESOURCES {
            return Err(ErrorCode::OutOfMemory);
        }
        Ok(())
    }

    pub(crate) fn insert(&mut self, id: ResourceId, resource: Resource) {
        self.by_id.insert(id, resource);
    }

    pub(crate) fn get(&self, id: ResourceId) -> Result<Resource, ErrorCode> {
        self.by_id
            .get(&id)
            .copied()
            .ok_or(ErrorCode::InvalidResourceId)
    }

    pub(crate) fn get_mut(&mut self, id: ResourceId) -> Result<&mut Resource, ErrorCode> {
        self.by_id.get_mut(&id).ok_or(ErrorCode::InvalidResourceId)
    }

    pub(crate) fn remove(&mut self, id: ResourceId) -> Result<Resource, ErrorCode> {
        self.by_id.remove(&id).ok_or(ErrorCode::InvalidResourceId)
    }

    /// Every allocation, in no order.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = AllocationHandle> {
        self.by_id.values().map(|resource| resource.allocation)
    }
}
