// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The virtual GPU of one VM: `--gpu width=1280,height=800,guarantee=25%`, a TOML table `[gpu]`, or `off`.

use std::fmt;
use std::str::FromStr;

use rondo_scheduler::Mode;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::{Bytes, ConfigError, Duration, Share, VmSpec};

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

/// A GPU that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuSpec {
    /// Pixels in a row of each scanout.
    pub width: u32,
    /// Rows of each scanout.
    pub height: u32,
    /// Number of scanouts; the first is plugged in.
    pub scanouts: u32,
    /// What the VM is promised; `None`: an equal part of what the others leave (see [`share_guarantees`]).
    pub guarantee: Option<Share>,
    /// What it never exceeds.
    pub limit: Option<Share>,
    /// How long it keeps the GPU before an equal claim is preferred.
    pub slice: Duration,
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
        let field = |field, problem| ConfigError::Field {
            vm: vm.to_owned(),
            field,
            problem,
        };
        let spec = GpuSpec {
            width: self.width.unwrap_or(1280),
            height: self.height.unwrap_or(800),
            scanouts: self.scanouts.unwrap_or(1),
            guarantee: self.guarantee,
            limit: self.limit,
            slice: self.slice.unwrap_or(Duration(2_000_000)),
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
        if !Self::SLICES.contains(&spec.slice) {
            return Err(field(
                "gpu.slice",
                format!(
                    "is {}; give it {} to {}",
                    spec.slice,
                    Self::SLICES.start(),
                    Self::SLICES.end()
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
        table
            .try_into::<GpuOptions>()
            .map(Self::On)
            .map_err(|error| error.message().to_owned())
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

/// The guarantee of each VM with a GPU, in order: what it asked for, or an equal part of what those leave.
///
/// # Errors
/// What was asked for is more than the whole GPU.
pub fn share_guarantees(vms: &[VmSpec]) -> Result<Vec<Option<Share>>, ConfigError> {
    let gpus = || vms.iter().filter_map(|vm| vm.gpu.as_ref());
    let asked = || gpus().filter_map(|gpu| gpu.guarantee);
    let total = asked().fold(0_u32, |sum, share| sum.saturating_add(share.0));
    let left = 1_000_000_u32
        .checked_sub(total)
        .ok_or(ConfigError::TooMuchPromised { total })?;
    let silent = u32::try_from(gpus().count() - asked().count()).unwrap_or(u32::MAX);
    let part = Share(left.checked_div(silent).unwrap_or(0));
    Ok(vms
        .iter()
        .map(|vm| vm.gpu.as_ref().map(|gpu| gpu.guarantee.unwrap_or(part)))
        .collect())
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
            "width=1920,height=1080,scanouts=2,guarantee=25%,slice=2ms,mode=client,memory=128M",
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
                mode: Mode::Client,
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
