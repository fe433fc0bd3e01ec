// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The file: TOML in, a scenario out. Unknown keys are refused.

use rondo_scheduler::inside::BandSettings;
use serde::Deserialize;

use super::inside::{BandsEntry, ProcessEntry, processes};
use super::load_entry::{LoadEntry, load};
use super::place::Place;
use super::{MS, Priority, Scenario, ScenarioError, Tuning, US, Vm, Work};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    duration_ms: u64,
    #[serde(default)]
    switch_cost_us: u64,
    engines: Option<u64>,
    #[serde(default)]
    host_share_ppm: u64,
    bands: Option<BandsEntry>,
    #[serde(default)]
    vm: Vec<VmEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VmEntry {
    name: String,
    share_ppm: Option<u64>,
    max_unit_us: Option<u64>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    priority: Priority,
    limit_ppm: Option<u64>,
    #[serde(default)]
    slice_us: u64,
    #[serde(default)]
    grace_us: u64,
    hang_timeout_us: Option<u64>,
    load: Option<LoadEntry>,
    #[serde(default)]
    process: Vec<ProcessEntry>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Server,
    Client,
}

pub(super) fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| ScenarioError::Syntax {
        line: error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            before.matches('\n').count() + 1
        }),
        message: error
            .message()
            .replace('\n', " ")
            .replace(
                "expected u64",
                "expected a whole number that is not negative",
            )
            .replace("expected i64", "expected a whole number"),
    })?;
    let top = Place::top();
    Ok(Scenario {
        duration: top.positive("duration_ms", file.duration_ms, MS)?,
        switch_cost: top.time("switch_cost_us", file.switch_cost_us, US)?,
        engines: match file.engines {
            Some(engines) => top.engines(engines)?,
            None => 1,
        },
        host_share_ppm: top.ppm("host_share_ppm", file.host_share_ppm)?,
        bands: file
            .bands
            .map_or_else(|| Ok(BandSettings::default()), BandsEntry::settings)?,
        vms: file.vm.into_iter().map(vm).collect::<Result<_, _>>()?,
    })
}

fn vm(entry: VmEntry) -> Result<Vm, ScenarioError> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if entry.name.is_empty() || !entry.name.chars().all(sound) {
        return Err(ScenarioError::BadName { name: entry.name });
    }
    let place = Place::vm(&entry.name);
    let client = entry.mode == Mode::Client;
    let share_ppm = match entry.share_ppm {
        Some(share) => place.ppm("share_ppm", share)?,
        None if client => 0,
        None => {
            return Err(place.missing(
                "share_ppm",
                "give the VM its part of an engine, 0 to 1000000",
            ));
        }
    };
    if client && share_ppm > 0 {
        return Err(place.contradiction(
            "a VM of mode \"client\" has no share of its own: leave out share_ppm and set host_share_ppm at the top",
        ));
    }
    let limit_ppm = entry
        .limit_ppm
        .map(|limit| place.ppm("limit_ppm", limit))
        .transpose()?;
    if limit_ppm.is_some_and(|limit| limit == 0 || limit < share_ppm) {
        return Err(place.contradiction(
            "limit_ppm must not be zero nor below share_ppm: raise it or leave it out",
        ));
    }
    let positive = |key, value: Option<u64>| {
        value
            .map(|value| place.positive(key, value, US))
            .transpose()
    };
    let max_unit = positive("max_unit_us", entry.max_unit_us)?;
    let tuning = Tuning {
        client,
        priority: entry.priority,
        limit_ppm,
        slice: place.time("slice_us", entry.slice_us, US)?,
        grace: place.time("grace_us", entry.grace_us, US)?,
        hang_timeout: positive("hang_timeout_us", entry.hang_timeout_us)?,
    };
    let work = match (entry.load, entry.process.is_empty()) {
        (Some(entry), true) => Work::Plain(load(&place, entry)?),
        (None, false) => Work::Inside(processes(&place, entry.process)?),
        (Some(_), false) => {
            return Err(place
                .contradiction("a VM has either load or [[vm.process]]: leave out one of them"));
        }
        (None, true) => {
            return Err(place.missing("load", "give the VM a load, or [[vm.process]] with loads"));
        }
    };
    Ok(Vm {
        name: entry.name.clone(),
        share_ppm,
        max_unit,
        work,
        tuning,
    })
}
