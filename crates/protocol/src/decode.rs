// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Bytes to [`Request`]: total, borrowing, one pass.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::command::{
    Command, CommandCode, CtxCreate, GetCapset, MemEntries, MoveCursor, RawMemEntry,
    ResourceAttachBacking, ResourceCreate2d, ResourceCreate3d, ResourceCreateBlob, ResourceFlush,
    ResourceMapBlob, SetScanout, SetScanoutBlob, TransferHost3d, TransferToHost2d, UpdateCursor,
    Variable,
};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::header::{CtrlHeader, HEADER_LEN};
use crate::id::{ContextId, ResourceId};
use crate::limits::{MAX_MEM_ENTRIES, MAX_RING_IDX, MAX_SUBMIT_LEN};
use crate::{command, wire};

/// A request: header and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The header. `header.code` is the command's number.
    pub header: CtrlHeader,
    /// The command.
    pub command: Command<'a>,
}

impl<'a> Request<'a> {
    /// A request without fence, context or ring.
    #[must_use]
    pub const fn new(command: Command<'a>) -> Self {
        let code = command.code().get();
        Self {
            header: CtrlHeader {
                code,
                fence: None,
                ctx_id: ContextId::NONE,
                ring_idx: None,
            },
            command,
        }
    }

    /// The same with a fence: the device answers when the work is complete.
    #[must_use]
    pub const fn fenced(mut self, fence_id: u64) -> Self {
        self.header.fence = Some(fence_id);
        self
    }

    /// The same in a rendering context.
    #[must_use]
    pub const fn in_context(mut self, ctx_id: ContextId) -> Self {
        self.header.ctx_id = ctx_id;
        self
    }

    /// The same on a ring of its context, 0 to 63.
    #[must_use]
    pub const fn on_ring(mut self, ring_idx: u8) -> Self {
        self.header.ring_idx = Some(ring_idx);
        self
    }
}

/// Decodes a request. Any bytes are fine; bytes after the request are ignored, as drivers may send a longer buffer.
///
/// # Errors
///
/// Says what is wrong, keeps the header if there was one, and names the error to answer with.
pub fn decode(bytes: &[u8]) -> Result<Request<'_>, DecodeError> {
    let (header, code, body) = open(bytes)?;
    match command(code, &header, body) {
        Ok(command) => Ok(Request { header, command }),
        Err(kind) => Err(DecodeError {
            header: Some(header),
            kind,
        }),
    }
}

/// Bytes of the request that begins with `prefix`: its fixed part, and its variable part as far as the limits allow.
///
/// A device copies the first [`MAX_FIXED_LEN`](crate::limits::MAX_FIXED_LEN) bytes (or all there are) into a buffer on its stack,
/// asks here, and only if the answer is more copies that much. It is at most 16 MiB and 32 bytes, whatever the guest wrote. `prefix` must
/// hold the fixed part; whether the variable part is there is for [`decode`] to say.
///
/// # Errors
///
/// The request is bad already: no header, an unknown command, a short body, or more entries or bytes than the limits.
pub fn request_len(prefix: &[u8]) -> Result<usize, DecodeError> {
    let (header, code, body) = open(prefix)?;
    variable_len(code, body)
        .map(|variable| code.fixed_len().saturating_add(variable))
        .map_err(|kind| DecodeError {
            header: Some(header),
            kind,
        })
}

/// The checked header, the command's number and the bytes after the header, which hold at least the fixed part.
fn open(bytes: &[u8]) -> Result<(CtrlHeader, CommandCode, &[u8]), DecodeError> {
    let got = bytes.len();
    let too_short = DecodeError {
        header: None,
        kind: DecodeErrorKind::HeaderTooShort { got },
    };
    let (raw, body) = wire::CtrlHdr::ref_from_prefix(bytes).map_err(|_| too_short)?;
    let header = CtrlHeader::from_wire(raw);
    let fail = |kind| {
        Err(DecodeError {
            header: Some(header),
            kind,
        })
    };
    let Some(code) = header.command_code() else {
        return fail(DecodeErrorKind::UnknownCommand { code: header.code });
    };
    let needed = code.fixed_len();
    if got < needed {
        return fail(DecodeErrorKind::BodyTooShort { code, needed, got });
    }
    Ok((header, code, body))
}

/// Bytes of the variable part that `body` claims, within the limits.
fn variable_len(code: CommandCode, body: &[u8]) -> Result<usize, DecodeErrorKind> {
    match code.variable() {
        Variable::None => Ok(0),
        Variable::Entries => {
            let claimed = if code == CommandCode::ResourceCreateBlob {
                split::<wire::ResourceCreateBlob>(code, body)?
                    .0
                    .nr_entries
                    .get()
            } else {
                split::<wire::ResourceAttachBacking>(code, body)?
                    .0
                    .nr_entries
                    .get()
            };
            Ok(entry_count(claimed)?.saturating_mul(size_of::<RawMemEntry>()))
        }
        Variable::Stream => stream_len(split::<wire::CmdSubmit>(code, body)?.0.size.get()),
    }
}

/// The fixed part and what follows it.
fn split<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    code: CommandCode,
    body: &[u8],
) -> Result<(&T, &[u8]), DecodeErrorKind> {
    let got = body.len().saturating_add(HEADER_LEN);
    T::ref_from_prefix(body).map_err(|_| DecodeErrorKind::BodyTooShort {
        code,
        needed: code.fixed_len(),
        got,
    })
}

fn entry_count(claimed: u32) -> Result<usize, DecodeErrorKind> {
    let too_many = DecodeErrorKind::TooManyEntries { claimed };
    if claimed > MAX_MEM_ENTRIES {
        return Err(too_many);
    }
    usize::try_from(claimed).map_err(|_| too_many)
}

fn entries(claimed: u32, rest: &[u8]) -> Result<MemEntries<'_>, DecodeErrorKind> {
    let count = entry_count(claimed)?;
    let present = rest
        .len()
        .checked_div(size_of::<RawMemEntry>())
        .unwrap_or(0);
    MemEntries::from_prefix(rest, count).ok_or(DecodeErrorKind::EntriesMissing { claimed, present })
}

fn stream_len(claimed: u32) -> Result<usize, DecodeErrorKind> {
    let too_long = DecodeErrorKind::StreamTooLong { claimed };
    if claimed > MAX_SUBMIT_LEN {
        return Err(too_long);
    }
    usize::try_from(claimed).map_err(|_| too_long)
}

fn stream(claimed: u32, rest: &[u8]) -> Result<&[u8], DecodeErrorKind> {
    rest.get(..stream_len(claimed)?)
        .ok_or(DecodeErrorKind::StreamMissing {
            claimed,
            present: rest.len(),
        })
}

/// The one argument of the commands that take a resource and nothing else.
fn resource(code: CommandCode, body: &[u8]) -> Result<ResourceId, DecodeErrorKind> {
    command::resource(split::<wire::Resource>(code, body)?.0.resource_id)
}

fn command<'a>(
    code: CommandCode,
    header: &CtrlHeader,
    body: &'a [u8],
) -> Result<Command<'a>, DecodeErrorKind> {
    if let Some(ring_idx) = header.ring_idx.filter(|ring| *ring > MAX_RING_IDX) {
        return Err(DecodeErrorKind::BadRingIndex { ring_idx });
    }
    if code.needs_context() && header.ctx_id.is_none() {
        return Err(DecodeErrorKind::ZeroContextId);
    }
    Ok(match code {
        CommandCode::GetDisplayInfo => Command::GetDisplayInfo,
        CommandCode::ResourceCreate2d => {
            Command::ResourceCreate2d(ResourceCreate2d::parse(split(code, body)?.0)?)
        }
        CommandCode::ResourceUnref => Command::ResourceUnref {
            resource: resource(code, body)?,
        },
        CommandCode::SetScanout => Command::SetScanout(SetScanout::parse(split(code, body)?.0)?),
        CommandCode::ResourceFlush => {
            Command::ResourceFlush(ResourceFlush::parse(split(code, body)?.0)?)
        }
        CommandCode::TransferToHost2d => {
            Command::TransferToHost2d(TransferToHost2d::parse(split(code, body)?.0)?)
        }
        CommandCode::ResourceAttachBacking => {
            let (raw, rest) = split::<wire::ResourceAttachBacking>(code, body)?;
            Command::ResourceAttachBacking(ResourceAttachBacking {
                resource: command::resource(raw.resource_id)?,
                entries: entries(raw.nr_entries.get(), rest)?,
            })
        }
        CommandCode::ResourceDetachBacking => Command::ResourceDetachBacking {
            resource: resource(code, body)?,
        },
        CommandCode::GetCapsetInfo => Command::GetCapsetInfo {
            index: split::<wire::GetCapsetInfo>(code, body)?
                .0
                .capset_index
                .get(),
        },
        CommandCode::GetCapset => Command::GetCapset(GetCapset::parse(split(code, body)?.0)),
        CommandCode::GetEdid => Command::GetEdid {
            scanout: command::scanout(split::<wire::GetEdid>(code, body)?.0.scanout)?,
        },
        CommandCode::ResourceAssignUuid => Command::ResourceAssignUuid {
            resource: resource(code, body)?,
        },
        CommandCode::ResourceCreateBlob => {
            let (raw, rest) = split::<wire::ResourceCreateBlob>(code, body)?;
            Command::ResourceCreateBlob(ResourceCreateBlob::parse(
                raw,
                entries(raw.nr_entries.get(), rest)?,
            )?)
        }
        CommandCode::SetScanoutBlob => {
            Command::SetScanoutBlob(SetScanoutBlob::parse(split(code, body)?.0)?)
        }
        CommandCode::CtxCreate => Command::CtxCreate(CtxCreate::parse(split(code, body)?.0)),
        CommandCode::CtxDestroy => Command::CtxDestroy,
        CommandCode::CtxAttachResource => Command::CtxAttachResource {
            resource: resource(code, body)?,
        },
        CommandCode::CtxDetachResource => Command::CtxDetachResource {
            resource: resource(code, body)?,
        },
        CommandCode::ResourceCreate3d => {
            Command::ResourceCreate3d(ResourceCreate3d::parse(split(code, body)?.0)?)
        }
        CommandCode::TransferToHost3d => {
            Command::TransferToHost3d(TransferHost3d::parse(split(code, body)?.0)?)
        }
        CommandCode::TransferFromHost3d => {
            Command::TransferFromHost3d(TransferHost3d::parse(split(code, body)?.0)?)
        }
        CommandCode::Submit3d => {
            let (raw, rest) = split::<wire::CmdSubmit>(code, body)?;
            Command::Submit3d {
                stream: stream(raw.size.get(), rest)?,
            }
        }
        CommandCode::ResourceMapBlob => {
            Command::ResourceMapBlob(ResourceMapBlob::parse(split(code, body)?.0)?)
        }
        CommandCode::ResourceUnmapBlob => Command::ResourceUnmapBlob {
            resource: resource(code, body)?,
        },
        CommandCode::UpdateCursor => {
            Command::UpdateCursor(UpdateCursor::parse(split(code, body)?.0)?)
        }
        CommandCode::MoveCursor => Command::MoveCursor(MoveCursor::parse(split(code, body)?.0)?),
    })
}
