// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtual GPU of one VM: `--gpu width=1280,height=800,guarantee=25%`, a TOML table `[gpu]`, or `off`.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use rondo_scheduler::{Mode, Priority};
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};

use super::{Bytes, ConfigError, Duration, Share};

/// Whether a VM has a GPU, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuChoice {
    /// No GPU.
    Off,
    /// This one.
    On(GpuOptions),
}

/// What was written about a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GpuOptions {
    width: Option<u32>,
    height: Option<u32>,
    scanouts: Option<u32>,
    guarantee: Option<Share>,
    limit: Option<Share>,
    slice: Option<Duration>,
    grace: Option<Duration>,
    hang_timeout: Option<Duration>,
    priority: Option<PriorityChoice>,
    mode: Option<GpuMode>,
    memory: Option<Bytes>,
    blob_alignment: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GpuMode {
    Client,
    Server,
}

/// Who comes first where nobody is owed anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorityChoice {
    /// Gets time that is lent only when nobody above wants it
    Low,
    /// Gets its part of the time that is lent
    #[default]
    Normal,
    /// Gets time that is lent before everybody below
    High,
}

impl From<PriorityChoice> for Priority {
    fn from(choice: PriorityChoice) -> Self {
        match choice {
            PriorityChoice::Low => Self::Low,
            PriorityChoice::Normal => Self::Normal,
            PriorityChoice::High => Self::High,
        }
    }
}

impl From<Priority> for PriorityChoice {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
        }
    }
}

/// A GPU that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuSpec {
    /// Pixels in a row of each scanout.
    pub width: u32,
    /// Rows of each scanout.
    pub height: u32,
    /// Number of scanouts; the first is plugged in.
    pub scanouts: u32,
    /// What the VM is promised; `None`: an equal part of what the others leave (see [`share_guarantees`](super::share_guarantees)).
    pub guarantee: Option<Share>,
    /// What it never exceeds.
    pub limit: Option<Share>,
    /// How long it keeps the GPU before an equal claim is preferred.
    pub slice: Duration,
    /// How long it may go on, within its slice, when another VM has the better claim.
    pub grace: Duration,
    /// How long a unit of its work may run before it is hung.
    pub hang_timeout: Duration,
    /// Who gets time first that is lent.
    pub priority: PriorityChoice,
    /// Client or server virtualization.
    pub mode: Mode,
    /// Bytes of host memory it may take.
    pub memory: Bytes,
    /// The alignment of blobs that the device asks for, if any.
    pub blob_alignment: Option<u32>,
}

impl GpuOptions {
    /// Linux takes modes from 32 to 8192 pixels (drm/virtio's `XRES_MAX`, `YRES_MAX`).
    const SIZES: std::ops::RangeInclusive<u32> = 32..=8192;
    /// virtio 1.4, 5.7.4: `num_scanouts` is 1 to 16.
    const SCANOUTS: std::ops::RangeInclusive<u32> = 1..=16;
    /// 100 us to 100 ms: below, hand-overs eat the GPU; above, no VM draws smoothly.
    const SLICES: std::ops::RangeInclusive<Duration> = Duration(100_000)..=Duration(100_000_000);

    /// Windows' own (`TdrDelay`). The software GPU's units are bounded, so what takes so long is a host that gives their thread
    /// no core; on one that is busy, that can be a good part of a second.
    const HANG_TIMEOUT: Duration = Duration(2_000_000_000);
    /// 1 ms to 60 s: below, a host that is busy looks like a GPU that hangs; above, nobody waits for the end.
    const HANG_TIMEOUTS: std::ops::RangeInclusive<Duration> =
        Duration(1_000_000)..=Duration(60_000_000_000);

    /// Whether a VM can have this slice.
    ///
    /// # Errors
    /// It cannot; one sentence without its subject.
    pub fn check_slice(slice: Duration) -> Result<(), String> {
        check_time(slice, &Self::SLICES)
    }

    /// Whether a monitor can have this size.
    ///
    /// # Errors
    /// It cannot; one sentence.
    pub fn check_size(width: u32, height: u32) -> Result<(), String> {
        Self::check_side(width).map_err(|problem| format!("the width {problem}"))?;
        Self::check_side(height).map_err(|problem| format!("the height {problem}"))
    }

    fn check_side(pixels: u32) -> Result<(), String> {
        if Self::SIZES.contains(&pixels) {
            return Ok(());
        }
        let (least, most) = (Self::SIZES.start(), Self::SIZES.end());
        Err(format!("is {pixels}; give it {least} to {most} pixels"))
    }

    /// Checks what was written and fills in the defaults.
    ///
    /// # Errors
    /// The first field whose value no GPU can have.
    pub fn resolve(&self, vm: &str) -> Result<GpuSpec, ConfigError> {
        self.check().map_err(|(field, problem)| ConfigError::Field {
            vm: vm.to_owned(),
            field,
            problem,
        })
    }

    /// As [`GpuOptions::resolve`], with the field and its problem.
    fn check(&self) -> Result<GpuSpec, (&'static str, String)> {
        let field = |field, problem| (field, problem);
        let spec = GpuSpec {
            width: self.width.unwrap_or(1280),
            height: self.height.unwrap_or(800),
            scanouts: self.scanouts.unwrap_or(1),
            guarantee: self.guarantee,
            limit: self.limit,
            slice: self.slice.unwrap_or(Duration(2_000_000)),
            grace: self.grace.unwrap_or(Duration(0)),
            hang_timeout: self.hang_timeout.unwrap_or(Self::HANG_TIMEOUT),
            priority: self.priority.unwrap_or_default(),
            mode: match self.mode {
                Some(GpuMode::Client) => Mode::Client,
                Some(GpuMode::Server) | None => Mode::Server,
            },
            memory: self.memory.unwrap_or(Bytes(256 << 20)),
            blob_alignment: self.blob_alignment,
        };
        for (name, value) in [("gpu.width", spec.width), ("gpu.height", spec.height)] {
            Self::check_side(value).map_err(|problem| field(name, problem))?;
        }
        if !Self::SCANOUTS.contains(&spec.scanouts) {
            return Err(field(
                "gpu.scanouts",
                format!("is {}; give it 1 to 16", spec.scanouts),
            ));
        }
        Self::check_slice(spec.slice).map_err(|problem| field("gpu.slice", problem))?;
        check_time(spec.hang_timeout, &Self::HANG_TIMEOUTS)
            .map_err(|problem| field("gpu.hang-timeout", problem))?;
        if spec.grace > spec.slice {
            return Err(field(
                "gpu.grace",
                format!(
                    "is {}, longer than the slice of {}, within which it counts; shorten it or lengthen gpu.slice",
                    spec.grace, spec.slice
                ),
            ));
        }
        if spec.mode == Mode::Client
            && let Some(guarantee) = spec.guarantee
            && guarantee != Share(0)
        {
            return Err(field(
                "gpu.guarantee",
                format!(
                    "is {guarantee}, and a VM of mode=client has none of its own; leave it out and give all client VMs a part with \
                     --host-guarantee, or write mode=server"
                ),
            ));
        }
        if let (Some(guarantee), Some(limit)) = (spec.guarantee, spec.limit)
            && limit < guarantee
        {
            return Err(field(
                "gpu.limit",
                format!("is {limit}, below its guarantee of {guarantee}; raise it or leave it out"),
            ));
        }
        if spec.limit == Some(Share(0)) {
            return Err(field(
                "gpu.limit",
                "is 0%; write gpu = \"off\" for a VM without a GPU".to_owned(),
            ));
        }
        let frame = u64::from(spec.width) * u64::from(spec.height) * 4;
        if spec.memory.0 < frame {
            return Err(field(
                "gpu.memory",
                format!(
                    "is {}, less than one {}x{} picture; give it {} or more",
                    spec.memory,
                    spec.width,
                    spec.height,
                    Bytes(((frame >> 20) + 1) << 20)
                ),
            ));
        }
        if let Some(alignment) = spec.blob_alignment
            && !(alignment.is_power_of_two() && alignment >= 4096)
        {
            return Err(field(
                "gpu.blob-alignment",
                format!("is {alignment}; give it a power of two from 4096 on"),
            ));
        }
        Ok(spec)
    }
}

fn check_time(time: Duration, range: &std::ops::RangeInclusive<Duration>) -> Result<(), String> {
    if range.contains(&time) {
        return Ok(());
    }
    Err(format!(
        "is {time}; give it {} to {}",
        range.start(),
        range.end()
    ))
}

impl FromStr for GpuChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        // The text becomes the TOML table that it stands for, so that both forms have one parser and one set of messages.
        let mut table = toml::Table::new();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (key, value) = item
                .split_once('=')
                .ok_or_else(|| format!("'{item}' has no value; write {item}=VALUE, or 'off'"))?;
            let parsed = match value.parse::<i64>() {
                Ok(number) => toml::Value::Integer(number),
                Err(_) => toml::Value::String(value.to_owned()),
            };
            if table.insert(key.to_owned(), parsed).is_some() {
                return Err(format!("'{key}' is given twice; give it once"));
            }
        }
        let options: GpuOptions = table
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        options
            .check()
            .map_err(|(field, problem)| format!("{field} {problem}"))?;
        Ok(Self::On(options))
    }
}

impl<'de> Deserialize<'de> for GpuChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = GpuChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, \"off\", or text like \"width=1280,height=800\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<GpuChoice, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GpuChoice, A::Error> {
                GpuOptions::deserialize(MapAccessDeserializer::new(map)).map(GpuChoice::On)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<GpuSpec, String> {
        match text.parse::<GpuChoice>()? {
            GpuChoice::Off => Err("off".to_owned()),
            GpuChoice::On(options) => options.resolve("vm").map_err(|error| error.to_string()),
        }
    }

    #[test]
    fn every_key_of_the_documented_example_is_understood() {
        let gpu = spec(
            "width=1920,height=1080,scanouts=2,guarantee=25%,slice=2ms,grace=500us,hang-timeout=1s,priority=high,\
             mode=server,memory=128M",
        );
        assert_eq!(
            gpu,
            Ok(GpuSpec {
                width: 1920,
                height: 1080,
                scanouts: 2,
                guarantee: Some(Share(250_000)),
                limit: None,
                slice: Duration(2_000_000),
                grace: Duration(500_000),
                hang_timeout: Duration(1_000_000_000),
                priority: PriorityChoice::High,
                mode: Mode::Server,
                memory: Bytes(128 << 20),
                blob_alignment: None,
            })
        );
        assert_eq!("off".parse(), Ok(GpuChoice::Off));
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_word_and_the_remedy() {
        for (text, says) in [
            ("widht=3", "widht"),
            ("width", "width=VALUE"),
            ("width=3", "32 to 8192"),
            ("scanouts=17", "1 to 16"),
            ("guarantee=150%", "0% to 100%"),
            ("slice=1us", "100us to 100ms"),
            ("slice=2", "2ms"),
            ("mode=both", "client"),
            ("mode=client,guarantee=20%", "--host-guarantee"),
            ("priority=urgent", "high"),
            ("grace=3ms", "the slice of 2ms"),
            ("hang-timeout=0ms", "1ms to 60s"),
            ("hang-timeout=2m", "2ms"),
            ("memory=1M", "gpu.memory"),
            ("guarantee=50%,limit=25%", "below its guarantee"),
            ("width=640,width=800", "twice"),
            ("blob-alignment=3", "power of two"),
        ] {
            let message = spec(text).expect_err(text);
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
