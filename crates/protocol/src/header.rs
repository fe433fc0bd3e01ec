// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The header that opens every request and every response (`struct virtio_gpu_ctrl_hdr`; virtio 1.4, 5.7.6.7).

use zerocopy::FromBytes;

use crate::command::CommandCode;
use crate::id::ContextId;
use crate::wire;

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<wire::CtrlHdr>();

/// `VIRTIO_GPU_FLAG_FENCE`: answer only when the command's work is complete, and echo `fence_id`.
pub const FLAG_FENCE: u32 = 1;

/// `VIRTIO_GPU_FLAG_INFO_RING_IDX`: `ring_idx` names the timeline of the context.
pub const FLAG_INFO_RING_IDX: u32 = 2;

/// A request's header. Unknown flag bits and the fields whose flag is clear are dropped on decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CtrlHeader {
    /// The `type` field as the driver wrote it; see [`CommandCode::from_wire`].
    pub code: u32,
    /// The fence to signal when the work is complete; `None` without `FLAG_FENCE`.
    pub fence: Option<u64>,
    /// The rendering context; [`ContextId::NONE`] for 2D work.
    pub ctx_id: ContextId,
    /// The context's ring whose timeline the fence belongs to; `None` without `FLAG_INFO_RING_IDX` (then the fence is on the
    /// device-wide timeline). [`decode`](crate::decode) only returns requests with 0 to 63.
    pub ring_idx: Option<u8>,
}

impl CtrlHeader {
    /// Reads the header at the start of `bytes`; `None` if there are fewer than [`HEADER_LEN`].
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (raw, _) = wire::CtrlHdr::ref_from_prefix(bytes).ok()?;
        Some(Self::from_wire(raw))
    }

    pub(crate) fn from_wire(raw: &wire::CtrlHdr) -> Self {
        let flags = raw.flags.get();
        Self {
            code: raw.type_.get(),
            fence: (flags & FLAG_FENCE != 0).then(|| raw.fence_id.get()),
            ctx_id: ContextId::new(raw.ctx_id.get()),
            ring_idx: (flags & FLAG_INFO_RING_IDX != 0).then_some(raw.ring_idx),
        }
    }

    pub(crate) fn to_wire(self, code: u32) -> wire::CtrlHdr {
        let fence_flag = if self.fence.is_some() { FLAG_FENCE } else { 0 };
        let ring_flag = if self.ring_idx.is_some() {
            FLAG_INFO_RING_IDX
        } else {
            0
        };
        wire::CtrlHdr {
            type_: code.into(),
            flags: (fence_flag | ring_flag).into(),
            fence_id: self.fence.unwrap_or(0).into(),
            ctx_id: self.ctx_id.get().into(),
            ring_idx: self.ring_idx.unwrap_or(0),
            padding: [0; 3],
        }
    }

    /// The command, if the code is one.
    #[must_use]
    pub const fn command_code(&self) -> Option<CommandCode> {
        CommandCode::from_wire(self.code)
    }

    /// What the response to this request echoes.
    #[must_use]
    pub const fn response(&self) -> ResponseHeader {
        ResponseHeader {
            fence: self.fence,
            ctx_id: self.ctx_id,
            ring_idx: self.ring_idx,
        }
    }
}

/// What a response echoes from its request, so that the driver finds the fence to signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResponseHeader {
    /// The request's fence.
    pub fence: Option<u64>,
    /// The request's context.
    pub ctx_id: ContextId,
    /// The request's ring.
    pub ring_idx: Option<u8>,
}

impl ResponseHeader {
    pub(crate) fn to_wire(self, code: u32) -> wire::CtrlHdr {
        CtrlHeader {
            code,
            fence: self.fence,
            ctx_id: self.ctx_id,
            ring_idx: self.ring_idx,
        }
        .to_wire(code)
    }
}

impl From<CtrlHeader> for ResponseHeader {
    fn from(header: CtrlHeader) -> Self {
        header.response()
    }
}
