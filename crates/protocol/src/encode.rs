// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! [`Request`] to bytes: the driver's side.

use zerocopy::{Immutable, IntoBytes};

use crate::command::{Command, MemEntries, RawMemEntry};
use crate::decode::Request;
use crate::error::BufferTooSmall;
use crate::id::{ResourceId, ScanoutId};
use crate::wire;

/// Writes values one after another into a buffer that is long enough: [`Writer::new`] sees to it.
pub(crate) struct Writer<'b> {
    rest: &'b mut [u8],
}

impl<'b> Writer<'b> {
    /// A writer over the first `needed` bytes of `out`.
    pub(crate) fn new(out: &'b mut [u8], needed: usize) -> Result<Self, BufferTooSmall> {
        let got = out.len();
        match out.get_mut(..needed) {
            Some(rest) => Ok(Self { rest }),
            None => Err(BufferTooSmall { needed, got }),
        }
    }

    /// Appends a value. What does not fit is dropped, which would be a wrong length in `encoded_len`.
    pub(crate) fn put<T: IntoBytes + Immutable + ?Sized>(&mut self, value: &T) {
        let bytes = value.as_bytes();
        let rest = core::mem::take(&mut self.rest);
        debug_assert!(bytes.len() <= rest.len(), "encoded_len is too small");
        if let Some((here, after)) = rest.split_at_mut_checked(bytes.len()) {
            here.copy_from_slice(bytes);
            self.rest = after;
        }
    }
}

impl Request<'_> {
    /// Bytes that [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let variable = match &self.command {
            Command::ResourceAttachBacking(args) => entries_len(&args.entries),
            Command::ResourceCreateBlob(args) => entries_len(&args.entries),
            Command::Submit3d { stream } => stream.len(),
            _ => 0,
        };
        self.command.code().fixed_len().saturating_add(variable)
    }

    /// Writes the request to the start of `out` and returns its length. The number in the header is the command's, whatever
    /// `header.code` says. Nothing is checked: a driver may write what [`decode`](crate::decode) refuses (a test does).
    ///
    /// # Errors
    ///
    /// `out` is shorter than [`encoded_len`](Self::encoded_len); nothing was written.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let length = self.encoded_len();
        let mut to = Writer::new(out, length)?;
        to.put(&self.header.to_wire(self.command.code().get()));
        match &self.command {
            Command::GetDisplayInfo | Command::CtxDestroy => {}
            Command::ResourceCreate2d(args) => to.put(&args.to_wire()),
            Command::SetScanout(args) => to.put(&args.to_wire()),
            Command::ResourceFlush(args) => to.put(&args.to_wire()),
            Command::TransferToHost2d(args) => to.put(&args.to_wire()),
            Command::ResourceAttachBacking(args) => {
                to.put(&wire::ResourceAttachBacking {
                    resource_id: args.resource.get().into(),
                    nr_entries: count(args.entries.len()).into(),
                });
                put_entries(&mut to, &args.entries);
            }
            Command::GetCapsetInfo { index } => {
                to.put(&wire::GetCapsetInfo {
                    capset_index: (*index).into(),
                    padding: 0.into(),
                });
            }
            Command::GetCapset(args) => to.put(&args.to_wire()),
            Command::GetEdid { scanout } => to.put(&get_edid(*scanout)),
            Command::ResourceCreateBlob(args) => {
                to.put(&args.to_wire(count(args.entries.len())));
                put_entries(&mut to, &args.entries);
            }
            Command::SetScanoutBlob(args) => to.put(&args.to_wire()),
            Command::CtxCreate(args) => to.put(&args.to_wire()),
            Command::ResourceCreate3d(args) => to.put(&args.to_wire()),
            Command::TransferToHost3d(args) | Command::TransferFromHost3d(args) => {
                to.put(&args.to_wire())
            }
            Command::Submit3d { stream } => {
                to.put(&wire::CmdSubmit {
                    size: count(stream.len()).into(),
                    padding: 0.into(),
                });
                to.put(*stream);
            }
            Command::ResourceMapBlob(args) => to.put(&args.to_wire()),
            Command::ResourceUnref { resource }
            | Command::ResourceDetachBacking { resource }
            | Command::ResourceAssignUuid { resource }
            | Command::CtxAttachResource { resource }
            | Command::CtxDetachResource { resource }
            | Command::ResourceUnmapBlob { resource } => to.put(&only_resource(*resource)),
            Command::UpdateCursor(args) => to.put(&args.to_wire()),
            Command::MoveCursor(args) => to.put(&args.to_wire()),
        }
        Ok(length)
    }
}

fn entries_len(entries: &MemEntries<'_>) -> usize {
    entries.len().saturating_mul(size_of::<RawMemEntry>())
}

/// A length for a 32-bit field. Saturates, and a decoder refuses the number: it is far beyond every limit.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put_entries(to: &mut Writer<'_>, entries: &MemEntries<'_>) {
    for entry in entries.iter() {
        to.put(&RawMemEntry::from(entry));
    }
}

fn get_edid(scanout: ScanoutId) -> wire::GetEdid {
    wire::GetEdid {
        scanout: scanout.get().into(),
        padding: 0.into(),
    }
}

fn only_resource(resource: ResourceId) -> wire::Resource {
    wire::Resource {
        resource_id: resource.get().into(),
        padding: 0.into(),
    }
}
