// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM has inside: processes, their contexts, and the bands.

use std::collections::HashSet;

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::{
    Band, BandSettings, ContextProperties, InProcessPriority, RealtimeLevel,
};
use serde::Deserialize;

use super::load_entry::{LoadEntry, load};
use super::place::Place;
use super::{ScenarioError, US};
use crate::load::Load;

/// A process of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name; no other process of the VM has it.
    pub name: String,
    /// At least one.
    pub contexts: Vec<Context>,
}

/// A context of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its name; no other context of the process has it.
    pub name: String,
    /// How it is scheduled.
    pub properties: ContextProperties,
    /// What it asks for.
    pub load: Load,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProcessEntry {
    name: String,
    load: Option<LoadEntry>,
    #[serde(default)]
    context: Vec<ContextEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextEntry {
    name: Option<String>,
    #[serde(default)]
    band: BandEntry,
    #[serde(default)]
    realtime_level: u64,
    #[serde(default)]
    priority: i64,
    quantum_us: Option<u64>,
    load: Option<LoadEntry>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum BandEntry {
    Idle,
    #[default]
    Normal,
    Focus,
    Realtime,
}

/// A time for each band; those left out keep their defaults.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PerBand {
    idle: Option<u64>,
    normal: Option<u64>,
    focus: Option<u64>,
    realtime: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BandsEntry {
    normal_percent: Option<u64>,
    #[serde(default)]
    grace_us: PerBand,
    #[serde(default)]
    process_quantum_us: PerBand,
    #[serde(default)]
    process_grace_us: PerBand,
}

impl PerBand {
    fn over(
        self,
        key: &'static str,
        defaults: [Nanos; 4],
        check: fn(&Place<'static>, &'static str, u64, u64) -> Result<u64, ScenarioError>,
    ) -> Result<[Nanos; 4], ScenarioError> {
        let mut times = defaults;
        let given = [self.idle, self.normal, self.focus, self.realtime];
        for (time, given) in times.iter_mut().zip(given) {
            if let Some(given) = given {
                *time = Nanos(check(&Place::bands(), key, given, US)?);
            }
        }
        Ok(times)
    }
}

impl BandsEntry {
    pub(super) fn settings(self) -> Result<BandSettings, ScenarioError> {
        let defaults = BandSettings::default();
        let percent = self
            .normal_percent
            .unwrap_or_else(|| defaults.normal_percentage.into());
        Ok(BandSettings {
            grace: self
                .grace_us
                .over("grace_us", defaults.grace, Place::time)?,
            process_quantum: self.process_quantum_us.over(
                "process_quantum_us",
                defaults.process_quantum,
                Place::positive,
            )?,
            process_grace: self.process_grace_us.over(
                "process_grace_us",
                defaults.process_grace,
                Place::time,
            )?,
            normal_percentage: u8::try_from(percent)
                .ok()
                .filter(|&percent| percent <= 50)
                .ok_or_else(|| Place::bands().too_large("normal_percent", percent, 50))?,
        })
    }
}

/// The processes of the VM at `place`.
pub(super) fn processes(
    place: &Place<'_>,
    entries: Vec<ProcessEntry>,
) -> Result<Vec<Process>, ScenarioError> {
    let mut names = HashSet::new();
    let mut processes = Vec::with_capacity(entries.len());
    for entry in entries {
        if !names.insert(entry.name.clone()) {
            return Err(place.twins("processes", entry.name));
        }
        let place = place.process(&entry.name);
        let contexts = match (entry.load, entry.context.is_empty()) {
            // One context like any other.
            (Some(entry), true) => vec![Context {
                name: "0".to_owned(),
                properties: ContextProperties::default(),
                load: load(&place, entry)?,
            }],
            (None, false) => contexts(&place, entry.context)?,
            (Some(_), false) => {
                return Err(place.contradiction(
                    "a process has either load or [[vm.process.context]]: leave out one of them",
                ));
            }
            (None, true) => {
                return Err(place.missing(
                    "load",
                    "give the process a load, or [[vm.process.context]] with loads",
                ));
            }
        };
        processes.push(Process {
            name: entry.name.clone(),
            contexts,
        });
    }
    Ok(processes)
}

fn contexts(place: &Place<'_>, entries: Vec<ContextEntry>) -> Result<Vec<Context>, ScenarioError> {
    let mut names = HashSet::new();
    let mut contexts = Vec::with_capacity(entries.len());
    for (n, entry) in entries.into_iter().enumerate() {
        let name = entry.name.clone().unwrap_or_else(|| n.to_string());
        if !names.insert(name.clone()) {
            return Err(place.twins("contexts", name));
        }
        let place = place.context(&name);
        let properties = properties(&place, &entry)?;
        let entry = entry
            .load
            .ok_or_else(|| place.missing("load", "give the context a load"))?;
        contexts.push(Context {
            properties,
            load: load(&place, entry)?,
            name: name.clone(),
        });
    }
    Ok(contexts)
}

fn properties(place: &Place<'_>, entry: &ContextEntry) -> Result<ContextProperties, ScenarioError> {
    let band = match entry.band {
        BandEntry::Idle => Band::Idle,
        BandEntry::Normal => Band::Normal,
        BandEntry::Focus => Band::Focus,
        BandEntry::Realtime => Band::Realtime,
    };
    if entry.realtime_level > 0 && band != Band::Realtime {
        return Err(place.contradiction(
            "realtime_level means something in band \"realtime\" only: change the band or leave it out",
        ));
    }
    let defaults = ContextProperties::default();
    Ok(ContextProperties {
        band,
        realtime_level: u8::try_from(entry.realtime_level)
            .ok()
            .and_then(RealtimeLevel::new)
            .ok_or_else(|| place.too_large("realtime_level", entry.realtime_level, 31))?,
        priority: i8::try_from(entry.priority)
            .ok()
            .and_then(InProcessPriority::new)
            .ok_or_else(|| place.contradiction("priority is out of range: it must be -7 to 7"))?,
        quantum: match entry.quantum_us {
            Some(quantum) => Nanos(place.positive("quantum_us", quantum, US)?),
            None => defaults.quantum,
        },
        ..defaults
    })
}
