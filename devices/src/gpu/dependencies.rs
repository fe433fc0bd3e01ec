// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What each command touches, for the scoreboard.
//!
//! A flush touches the scanouts that show its resource, and an UNREF those and their cursors: the ones that do now, and
//! the ones that may by the time the commands in flight are done.

use rondo_protocol::{Command, ResourceId};

use super::hazard::{Scoreboard, Touches, Work};
use super::scanouts::{Scanouts, bit};

/// What `command` touches, and who does its work.
pub(crate) fn of(
    command: &Command<'_>,
    scanouts: &Scanouts,
    scoreboard: &Scoreboard,
) -> (Touches, Work) {
    match command {
        Command::TransferToHost2d(args) => (only(args.resource), Work::Gpu),
        Command::ResourceFlush(args) => {
            let around = scoreboard.around(args.resource);
            let touches = Touches {
                scanouts: around.scanouts | scanouts.showing(args.resource),
                cursors: 0,
                ..around
            };
            (touches, Work::Gpu)
        }
        Command::ResourceUnref { resource } => {
            let around = scoreboard.around(*resource);
            let touches = Touches {
                scanouts: around.scanouts | scanouts.showing(*resource),
                cursors: around.cursors | scanouts.pointing(*resource),
                ..around
            };
            (touches, Work::Control)
        }
        Command::ResourceCreate2d(args) => (only(args.resource), Work::Control),
        Command::ResourceCreateBlob(args) => (only(args.resource), Work::Control),
        Command::ResourceAttachBacking(args) => (only(args.resource), Work::Control),
        Command::ResourceDetachBacking { resource } | Command::ResourceAssignUuid { resource } => {
            (only(*resource), Work::Control)
        }
        Command::SetScanout(args) => {
            let touches = Touches {
                resource: args.source.map(|source| source.resource),
                scanouts: bit(args.scanout),
                ..Touches::NOTHING
            };
            (touches, Work::Control)
        }
        Command::SetScanoutBlob(args) => {
            let touches = Touches {
                resource: args.source.as_ref().map(|source| source.resource),
                scanouts: bit(args.scanout),
                ..Touches::NOTHING
            };
            (touches, Work::Control)
        }
        Command::UpdateCursor(args) => {
            let touches = Touches {
                resource: args.resource,
                cursors: bit(args.scanout),
                ..Touches::NOTHING
            };
            (touches, Work::Control)
        }
        Command::MoveCursor(args) => {
            let touches = Touches {
                cursors: bit(args.scanout),
                ..Touches::NOTHING
            };
            (touches, Work::Control)
        }
        _ => (Touches::NOTHING, Work::Control),
    }
}

fn only(resource: ResourceId) -> Touches {
    Touches {
        resource: Some(resource),
        ..Touches::NOTHING
    }
}
