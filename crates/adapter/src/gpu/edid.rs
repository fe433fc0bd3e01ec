// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM's monitors say about themselves.

use rondo_protocol::edid::{Edid, Monitor, PhysicalSize};

use crate::ddi::{ChildStatus, DdiResult, VidPnSourceId};
use crate::status::NtStatus;

/// Dots per inch at which guests scale nothing.
const DPI: u16 = 96;

/// The EDID of a source's monitor: its number is its serial number, so that a desktop tells its monitors apart. An
/// unplugged monitor has the EDID of the mode that it would have.
///
/// # Errors
/// [`NtStatus::GraphicsInvalidVidpnTopology`] for a mode that no EDID can say.
pub(super) fn of_monitor(source: VidPnSourceId, status: &ChildStatus) -> DdiResult<Vec<u8>> {
    let unsayable = NtStatus::GraphicsInvalidVidpnTopology;
    let width = u16::try_from(status.size.width).map_err(|_| unsayable)?;
    let height = u16::try_from(status.size.height).map_err(|_| unsayable)?;
    let monitor = Monitor {
        width,
        height,
        size: Some(PhysicalSize::at_dpi(width, height, DPI)),
        serial_number: source.0.saturating_add(1),
        ..Monitor::default()
    };
    let edid = Edid::new(&monitor).map_err(|_| unsayable)?;
    Ok(edid.as_bytes().to_vec())
}
