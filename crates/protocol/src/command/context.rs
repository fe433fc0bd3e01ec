// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the commands on rendering contexts and the capability sets they speak.

use core::fmt;

use crate::id::CapsetId;
use crate::limits::DEBUG_NAME_LEN;
use crate::wire;

/// The lower bits of `context_init` that hold the capability set (`VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK`).
const CAPSET_ID_MASK: u32 = 0xff;

/// A context's name for people: at most 64 bytes, of any kind, as the driver wrote them. Linux sends the task's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DebugName<'a>(&'a [u8]);

impl<'a> DebugName<'a> {
    /// The first 64 bytes of `name`.
    #[must_use]
    pub fn new(name: &'a [u8]) -> Self {
        Self(name.get(..DEBUG_NAME_LEN).unwrap_or(name))
    }

    /// The bytes, at most 64. Not text until checked.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for DebugName<'_> {
    /// The name up to its first NUL, with everything that is not a printable character escaped: safe to log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|byte| *byte == 0);
        let name = end.and_then(|end| self.0.get(..end)).unwrap_or(self.0);
        fmt::Display::fmt(&name.escape_ascii(), f)
    }
}

impl fmt::Debug for DebugName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// CTX_CREATE: `struct virtio_gpu_ctx_create`. The context's id is in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CtxCreate<'a> {
    /// `context_init` as the driver wrote it. Means something only with `VIRTIO_GPU_F_CONTEXT_INIT`.
    pub context_init: u32,
    /// The name; `nlen` beyond 64 is cut.
    pub debug_name: DebugName<'a>,
}

impl<'a> CtxCreate<'a> {
    /// The capability set that the context shall speak; `None` leaves the choice to the device.
    #[must_use]
    pub const fn capset(&self) -> Option<CapsetId> {
        match self.context_init & CAPSET_ID_MASK {
            0 => None,
            id => Some(CapsetId::new(id)),
        }
    }

    pub(crate) fn parse(raw: &'a wire::CtxCreate) -> Self {
        let length = usize::try_from(raw.nlen.get()).unwrap_or(DEBUG_NAME_LEN);
        let name = raw.debug_name.get(..length).unwrap_or(&raw.debug_name);
        Self {
            context_init: raw.context_init.get(),
            debug_name: DebugName::new(name),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a DebugName has at most 64 bytes"
    )]
    pub(crate) fn to_wire(self) -> wire::CtxCreate {
        let name = self.debug_name.as_bytes();
        let mut debug_name = [0; DEBUG_NAME_LEN];
        for (to, from) in debug_name.iter_mut().zip(name) {
            *to = *from;
        }
        wire::CtxCreate {
            nlen: (name.len() as u32).into(),
            context_init: self.context_init.into(),
            debug_name,
        }
    }
}

/// GET_CAPSET: `struct virtio_gpu_get_capset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GetCapset {
    /// The capability set.
    pub id: CapsetId,
    /// Its version.
    pub version: u32,
}

impl GetCapset {
    pub(crate) fn parse(raw: &wire::GetCapset) -> Self {
        Self {
            id: CapsetId::new(raw.capset_id.get()),
            version: raw.capset_version.get(),
        }
    }

    pub(crate) fn to_wire(self) -> wire::GetCapset {
        wire::GetCapset {
            capset_id: self.id.get().into(),
            capset_version: self.version.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn the_lower_eight_bits_of_context_init_are_the_capset() {
        let capset = |context_init| {
            CtxCreate {
                context_init,
                debug_name: DebugName::default(),
            }
            .capset()
        };
        assert_eq!(capset(0), None);
        assert_eq!(capset(0xffff_ff00), None);
        assert_eq!(capset(0x1204), Some(CapsetId::VENUS));
        assert_eq!(capset(0xff), Some(CapsetId::new(255)));
    }

    #[test]
    fn a_hostile_name_is_cut_and_escaped() {
        let long = [b'x'; 100];
        assert_eq!(DebugName::new(&long).as_bytes().len(), 64);
        assert_eq!(
            format!("{}", DebugName::new(b"glx\x1b[31m\n\0tail")),
            "glx\\x1b[31m\\n"
        );
        assert_eq!(format!("{:?}", DebugName::new(b"")), "\"\"");
    }
}
