// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The loads: what the guest is told to do, and what is read off it.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::contender::{Contender, DISPLAY, GUEST_RAM, Stable};
use super::guest_line::GuestLine;
use super::guest_run::GuestRun;
use super::quantity::Quantity;
use super::resident::Resident;

/// The kernel goes on taking the last VM apart after its process has ended; nobody's run shall pay for another's.
const SETTLE: Duration = Duration::from_millis(150);

/// One boot of the guest, for one or two quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// One frame, as soon as possible.
    FirstFrame,
    /// Whole frames, eight in flight, without rest.
    Frames,
    /// Frames of which one tile of 64 has changed, eight in flight, without rest.
    PartialFrames,
    /// GET_DISPLAY_INFO, 64 for each notification.
    Commands,
    /// GET_DISPLAY_INFO, one at a time.
    RoundTrips,
    /// Some frames, then the guest stands still and the VMM is looked at.
    Resident,
}

/// What one run has measured.
pub type Samples = Vec<(Quantity, f64)>;

impl Load {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FirstFrame,
        Self::Frames,
        Self::PartialFrames,
        Self::Commands,
        Self::RoundTrips,
        Self::Resident,
    ];

    /// The guest's command line, `scale` times as long as usual where it has a length.
    pub fn words(self, scale: u64) -> String {
        let (width, height) = DISPLAY;
        match self {
            Self::FirstFrame => "name=bench frames=1".to_owned(),
            Self::Frames => format!(
                "pattern=test damage=full depth=8 width={width} height={height} frames={}",
                4000 * scale
            ),
            Self::PartialFrames => format!(
                "pattern=test damage=partial depth=8 width={width} height={height} frames={}",
                20_000 * scale
            ),
            Self::Commands => format!("mode=commands batch=64 commands={}", 256_000 * scale),
            Self::RoundTrips => format!("mode=roundtrip commands={}", 4096 * scale),
            Self::Resident => "name=bench frames=200 exit=halt".to_owned(),
        }
    }

    /// As tables and progress lines name it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::FirstFrame => "first frame",
            Self::Frames => "full frames",
            Self::PartialFrames => "small changes",
            Self::Commands => "small commands in batches",
            Self::RoundTrips => "round trips",
            Self::Resident => "resident memory",
        }
    }

    /// What the guest's last line counts, where that is worth a profile: its key, and the name of one.
    pub const fn item(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Frames | Self::PartialFrames => Some(("frames", "frame")),
            Self::Commands => Some(("commands", "command")),
            Self::RoundTrips => Some(("roundtrips", "round trip")),
            Self::FirstFrame | Self::Resident => None,
        }
    }

    /// Boots the guest under one VMM and measures.
    ///
    /// # Errors
    /// When the VMM or the guest fails.
    pub fn measure(self, stable: &Stable, contender: Contender) -> Result<Samples> {
        std::thread::sleep(SETTLE);
        let mut run = GuestRun::start(&mut stable.command(contender, &self.words(1)))?;
        let samples = match self {
            Self::FirstFrame => {
                let (line, after) = run.line("first-frame")?;
                vec![
                    (Quantity::FirstFrame, after.as_secs_f64() * 1e3),
                    (
                        Quantity::FirstFrameInGuest,
                        line.number("ticks")? / line.number("khz")?,
                    ),
                ]
            }
            Self::Frames => vec![(Quantity::Frames, run.line("frames")?.0.number("fps")?)],
            Self::PartialFrames => {
                vec![(
                    Quantity::PartialFrames,
                    run.line("frames")?.0.number("fps")?,
                )]
            }
            Self::Commands => {
                let (line, _) = run.line("commands")?;
                vec![(Quantity::Commands, line.number("per_second")?)]
            }
            Self::RoundTrips => {
                let (line, _) = run.line("roundtrips")?;
                vec![
                    (Quantity::RoundTripMedian, microseconds(&line, "p50")?),
                    (Quantity::RoundTripTail, microseconds(&line, "p99")?),
                ]
            }
            Self::Resident => {
                run.line("bye")?;
                let resident = Resident::of_process(run.process(), GUEST_RAM)?;
                // The guest stands still for ever: the run is killed when it is dropped.
                return Ok(vec![
                    (Quantity::Resident, mebibytes(resident.total())),
                    (Quantity::ResidentAnonymous, mebibytes(resident.anonymous)),
                ]);
            }
        };
        run.finish()?;
        Ok(samples)
    }
}

fn microseconds(line: &GuestLine, key: &str) -> Result<f64> {
    Ok(line.number(key)? / line.number("khz")? * 1e3)
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
