// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The command line: `key=value` words into typed [`Options`]. The words are listed in the crate's documentation.
//!
//! Words that are nobody's here are passed over, since VMMs add their own; a known word with a bad value is an error, never a silent default.

use core::fmt;

/// Most virtio-mmio devices that are looked at. QEMU's `microvm` names 24 or 32.
pub const MAX_DEVICES: usize = 32;

/// A `virtio_mmio.device=SIZE@BASE:IRQ` word, as Linux reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmioDevice {
    /// Physical address of the register window.
    pub base: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The interrupt line. The guest polls; it is kept for the report.
    pub irq: u32,
}

/// What the guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Draw frames.
    Draw,
    /// Send batches of small commands.
    Commands,
    /// Send one small command at a time and report the latency.
    RoundTrip,
    /// Report what was found and end.
    Probe,
    /// Draw, reset the device, probe again, several times.
    Reset,
}

/// How much of each frame is transferred and flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The whole frame.
    Full,
    /// What changed.
    Partial,
}

/// How the frame's memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// In one piece.
    Contiguous,
    /// In 4 KiB pieces, no two neighbours in order.
    Scattered,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// The picture for people: name, frame counter, moving bars.
    Demo,
    /// The picture for tests: [`crate::pattern`].
    Test,
}

/// How the guest ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Reset by the keyboard controller: 0xfe to port 0x64.
    I8042,
    /// Power off by the sleep control register (8 bits) of hardware-reduced ACPI at this port.
    Acpi(u16),
    /// A triple fault.
    Triple,
    /// Never: stop and poll for ever.
    Halt,
}

/// Everything that the command line says.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// `name=`: shown large on the screen; the colour follows from it.
    pub name: &'a str,
    /// `width=`, in pixels; the display's own when missing.
    pub width: Option<u32>,
    /// `height=`, in pixels; the display's own when missing.
    pub height: Option<u32>,
    /// `frames=`: how many to draw; 0 is without end.
    pub frames: u64,
    /// `commands=`: how many to send in the command modes; 0 is without end.
    pub commands: u64,
    /// `seconds=`: stop after so long, if not 0.
    pub seconds: u64,
    /// `damage=full|partial`.
    pub damage: Damage,
    /// `batch=`: commands per notification.
    pub batch: u32,
    /// `depth=`: frames in flight.
    pub depth: u32,
    /// `burst_ms=`: work so long, then rest for `idle_ms`.
    pub burst_ms: u64,
    /// `idle_ms=`: rest so long after each burst.
    pub idle_ms: u64,
    /// `repaint_ms=`: draw a new picture at most so often, and send the old one again in between; 0 draws each.
    pub repaint_ms: u64,
    /// `mode=draw|commands|roundtrip|probe|reset`.
    pub mode: Mode,
    /// `resets=`: how often `mode=reset` resets.
    pub resets: u32,
    /// `backing=contiguous|scattered`.
    pub backing: Backing,
    /// `blob=0|1`: the frame is a guest blob.
    pub blob: bool,
    /// `cursor=0|1`.
    pub cursor: bool,
    /// `pattern=demo|test`.
    pub pattern: Pattern,
    /// `indirect=0|1`: negotiate INDIRECT_DESC where offered.
    pub indirect: bool,
    /// `event_idx=0|1`: negotiate EVENT_IDX where offered.
    pub event_idx: bool,
    /// `cpus=`: how many virtual CPUs are expected to answer; 1 starts none.
    pub cpus: u32,
    /// `exit=i8042|acpi:PORT|triple|halt`.
    pub exit: Exit,
    devices: [MmioDevice; MAX_DEVICES],
    device_count: usize,
}

/// A known word with a value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadOption<'a> {
    /// The whole word.
    pub word: &'a str,
}

impl fmt::Display for BadOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad-option word={}", self.word)
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            name: "guest",
            width: None,
            height: None,
            frames: 0,
            commands: 0,
            seconds: 0,
            damage: Damage::Full,
            batch: 2,
            depth: 8,
            burst_ms: 0,
            idle_ms: 0,
            repaint_ms: 0,
            mode: Mode::Draw,
            resets: 3,
            backing: Backing::Contiguous,
            blob: false,
            cursor: false,
            pattern: Pattern::Demo,
            indirect: true,
            event_idx: false,
            cpus: 1,
            exit: Exit::I8042,
            devices: [MmioDevice {
                base: 0,
                size: 0,
                irq: 0,
            }; MAX_DEVICES],
            device_count: 0,
        }
    }
}

impl<'a> Options<'a> {
    /// Reads a command line.
    ///
    /// # Errors
    /// [`BadOption`] for the first known word whose value is none.
    pub fn parse(line: &'a str) -> Result<Self, BadOption<'a>> {
        let mut options = Self::default();
        for word in line.split_ascii_whitespace() {
            if let Some((key, value)) = word.split_once('=') {
                options.set(key, value).ok_or(BadOption { word })?;
            }
        }
        Ok(options)
    }

    /// The virtio-mmio devices named, in order.
    #[must_use]
    pub fn devices(&self) -> &[MmioDevice] {
        self.devices.get(..self.device_count).unwrap_or_default()
    }

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "name" => self.name = (!value.is_empty()).then_some(value)?,
            "width" => self.width = Some(in_range(value, 1, 16_384)?),
            "height" => self.height = Some(in_range(value, 1, 16_384)?),
            "frames" => self.frames = value.parse().ok()?,
            "commands" => self.commands = value.parse().ok()?,
            "seconds" => self.seconds = value.parse().ok()?,
            "damage" => {
                self.damage = one_of(
                    value,
                    &[("full", Damage::Full), ("partial", Damage::Partial)],
                )?
            }
            "batch" => self.batch = in_range(value, 1, 256)?,
            "depth" => self.depth = in_range(value, 1, 64)?,
            "burst_ms" => self.burst_ms = value.parse().ok()?,
            "idle_ms" => self.idle_ms = value.parse().ok()?,
            "repaint_ms" => self.repaint_ms = value.parse().ok()?,
            "mode" => {
                self.mode = one_of(
                    value,
                    &[
                        ("draw", Mode::Draw),
                        ("commands", Mode::Commands),
                        ("roundtrip", Mode::RoundTrip),
                        ("probe", Mode::Probe),
                        ("reset", Mode::Reset),
                    ],
                )?;
            }
            "resets" => self.resets = value.parse().ok()?,
            "backing" => {
                self.backing = one_of(
                    value,
                    &[
                        ("contiguous", Backing::Contiguous),
                        ("scattered", Backing::Scattered),
                    ],
                )?
            }
            "blob" => self.blob = flag(value)?,
            "cursor" => self.cursor = flag(value)?,
            "pattern" => {
                self.pattern = one_of(value, &[("demo", Pattern::Demo), ("test", Pattern::Test)])?
            }
            "indirect" => self.indirect = flag(value)?,
            "event_idx" => self.event_idx = flag(value)?,
            "cpus" => self.cpus = in_range(value, 1, 32)?,
            "exit" => self.exit = exit(value)?,
            "virtio_mmio.device" => {
                let device = mmio_device(value)?;
                if let Some(slot) = self.devices.get_mut(self.device_count) {
                    *slot = device;
                    self.device_count += 1;
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn one_of<T: Copy>(value: &str, choices: &[(&str, T)]) -> Option<T> {
    choices
        .iter()
        .find(|(name, _)| *name == value)
        .map(|&(_, choice)| choice)
}

fn flag(value: &str) -> Option<bool> {
    one_of(value, &[("0", false), ("1", true)])
}

fn in_range(value: &str, min: u32, max: u32) -> Option<u32> {
    value.parse().ok().filter(|n| (min..=max).contains(n))
}

fn exit(value: &str) -> Option<Exit> {
    if let Some(port) = value.strip_prefix("acpi:") {
        return u16::from_str_radix(port.trim_start_matches("0x"), 16)
            .ok()
            .map(Exit::Acpi);
    }
    one_of(
        value,
        &[
            ("i8042", Exit::I8042),
            ("triple", Exit::Triple),
            ("halt", Exit::Halt),
        ],
    )
}

/// `SIZE@BASE:IRQ[:ID]`; the size may end in K or M, numbers are decimal or 0x-hexadecimal.
fn mmio_device(value: &str) -> Option<MmioDevice> {
    let (size, rest) = value.split_once('@')?;
    let mut fields = rest.split(':');
    let base = number(fields.next()?)?;
    let irq = u32::try_from(number(fields.next()?)?).ok()?;
    let (digits, unit) = match size.as_bytes().last()? {
        b'K' | b'k' => (size.get(..size.len() - 1)?, 1024),
        b'M' | b'm' => (size.get(..size.len() - 1)?, 1024 * 1024),
        _ => (size, 1),
    };
    let size = number(digits)?.checked_mul(unit)?;
    // Only the first 4 GiB are mapped.
    base.checked_add(size).filter(|&end| end <= 1 << 32)?;
    Some(MmioDevice { base, size, irq })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;
