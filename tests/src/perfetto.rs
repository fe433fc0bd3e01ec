// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A Perfetto trace read back: protocol buffers to tracks, slices and counters, strictly.
//!
//! It knows nothing of the writer but the public format (`protos/perfetto/trace` of the Perfetto project), and refuses what
//! the Perfetto UI would have to guess at: events on tracks that nobody described, slices that end without a beginning or
//! last for ever, times that go back on a track.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

/// A part of a track's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its name.
    pub name: String,
    /// Nanoseconds.
    pub start: u64,
    /// Nanoseconds.
    pub end: u64,
    /// How many slices it lies in.
    pub depth: usize,
}

/// A track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// The track above it.
    pub parent: Option<u64>,
    /// The unit of its values, if it is a counter.
    pub unit: Option<String>,
    /// Its slices, in the order of their ends.
    pub slices: Vec<Slice>,
    /// Its values, with their instants in nanoseconds.
    pub values: Vec<(u64, f64)>,
    /// Names and instants of what has no duration.
    pub instants: Vec<(u64, String)>,
    open: Vec<(String, u64)>,
    last: u64,
}

impl Track {
    /// Nanoseconds that slices of this name last in all.
    #[must_use]
    pub fn time(&self, name: &str) -> u64 {
        let named = self.slices.iter().filter(|slice| slice.name == name);
        named.map(|slice| slice.end - slice.start).sum()
    }
}

/// A trace, its tracks by their uuid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// All that were described.
    pub tracks: HashMap<u64, Track>,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => bail!("bytes where a number belongs"),
        }
    }

    fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => bail!("a number where bytes belong"),
        }
    }

    fn text(self) -> Result<String> {
        Ok(std::str::from_utf8(self.bytes()?)?.to_owned())
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().context("cut in a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number of more than 64 bits")
}

/// The next field of a message, unless it is at its end.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = varint(bytes)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(bytes)?),
        1 => {
            let (word, rest) = bytes.split_first_chunk().context("cut in a word")?;
            *bytes = rest;
            Value::Number(u64::from_le_bytes(*word))
        }
        2 => {
            let length = usize::try_from(varint(bytes)?)?;
            let (inside, rest) = bytes.split_at_checked(length).context("cut in a field")?;
            *bytes = rest;
            Value::Bytes(inside)
        }
        other => bail!("wire type {other}"),
    };
    Ok(Some((tag >> 3, value)))
}

impl Trace {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(mut bytes: &[u8]) -> Result<Self> {
        let mut trace = Self::default();
        while let Some((number, value)) = field(&mut bytes)? {
            ensure!(number == 1, "field {number} in a trace");
            trace.packet(value.bytes()?)?;
        }
        for track in trace.tracks.values() {
            ensure!(
                track.open.is_empty(),
                "{}: a slice without an end",
                track.name
            );
        }
        Ok(trace)
    }

    /// The tracks right under this one, counters left out.
    #[must_use]
    pub fn under(&self, parent: Option<u64>) -> Vec<(u64, &Track)> {
        let mut found: Vec<_> = self
            .tracks
            .iter()
            .filter(|(_, track)| track.parent == parent && track.unit.is_none())
            .map(|(&uuid, track)| (uuid, track))
            .collect();
        found.sort_by_key(|(uuid, _)| *uuid);
        found
    }

    /// The counters of a track, by name.
    #[must_use]
    pub fn counters(&self, parent: u64) -> HashMap<&str, &Track> {
        let of_track = self
            .tracks
            .values()
            .filter(|track| track.parent == Some(parent));
        of_track
            .filter(|track| track.unit.is_some())
            .map(|track| (track.name.as_str(), track))
            .collect()
    }

    fn packet(&mut self, mut bytes: &[u8]) -> Result<()> {
        let (mut timestamp, mut sequence, mut event) = (None, None, None);
        while let Some((number, value)) = field(&mut bytes)? {
            match number {
                8 => timestamp = Some(value.number()?),
                10 => sequence = Some(value.number()?),
                11 => event = Some(value.bytes()?),
                60 => self.descriptor(value.bytes()?)?,
                other => bail!("field {other} in a packet"),
            }
        }
        ensure!(sequence.is_some_and(|id| id > 0), "a packet of no sequence");
        if let Some(event) = event {
            self.event(timestamp.context("an event without a time")?, event)?;
        }
        Ok(())
    }

    fn descriptor(&mut self, mut bytes: &[u8]) -> Result<()> {
        let (mut uuid, mut track) = (None, Track::default());
        while let Some((number, value)) = field(&mut bytes)? {
            match number {
                1 => uuid = Some(value.number()?),
                2 => track.name = value.text()?,
                5 => track.parent = Some(value.number()?),
                8 => {
                    let mut counter = value.bytes()?;
                    while let Some((number, value)) = field(&mut counter)? {
                        if number == 6 {
                            track.unit = Some(value.text()?);
                        }
                    }
                }
                11 => ensure!(value.number()? <= 3, "an unknown order of tracks"),
                other => bail!("field {other} in a track"),
            }
        }
        if let Some(parent) = track.parent {
            ensure!(
                self.tracks.contains_key(&parent),
                "{}: no parent",
                track.name
            );
        }
        let uuid = uuid.context("a track without a uuid")?;
        ensure!(
            self.tracks.insert(uuid, track).is_none(),
            "track {uuid} twice"
        );
        Ok(())
    }

    fn event(&mut self, at: u64, mut bytes: &[u8]) -> Result<()> {
        let (mut kind, mut uuid, mut name, mut number_of) = (0, None, None, None);
        while let Some((number, value)) = field(&mut bytes)? {
            match number {
                9 => kind = value.number()?,
                11 => uuid = Some(value.number()?),
                23 => name = Some(value.text()?),
                #[allow(clippy::cast_precision_loss)]
                30 => number_of = Some(value.number()?.cast_signed() as f64),
                44 => number_of = Some(f64::from_bits(value.number()?)),
                other => bail!("field {other} in an event"),
            }
        }
        let uuid = uuid.context("an event on no track")?;
        let track = self.tracks.get_mut(&uuid);
        let track =
            track.with_context(|| format!("an event on track {uuid}, which nobody described"))?;
        ensure!(
            at >= track.last,
            "{}: {at} after {}",
            track.name,
            track.last
        );
        track.last = at;
        ensure!(
            (kind == 4) == track.unit.is_some(),
            "{}: slices and values",
            track.name
        );
        match kind {
            1 => track
                .open
                .push((name.context("a slice without a name")?, at)),
            2 => {
                let (name, start) = track.open.pop().context("an end without a beginning")?;
                let depth = track.open.len();
                track.slices.push(Slice {
                    name,
                    start,
                    end: at,
                    depth,
                });
            }
            3 => track
                .instants
                .push((at, name.context("an instant without a name")?)),
            4 => track
                .values
                .push((at, number_of.context("a counter without a value")?)),
            other => bail!("an event of type {other}"),
        }
        Ok(())
    }
}
