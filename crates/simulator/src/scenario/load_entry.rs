// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A load as the file has it, and as the world takes it.

use serde::Deserialize;

use super::place::Place;
use super::{MS, ScenarioError, US};
use crate::load::Load;

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum LoadEntry {
    Backlogged {
        length_us: u64,
    },
    Closed {
        length_us: u64,
        think_us: u64,
    },
    Bursty {
        length_us: u64,
        on_ms: u64,
        off_ms: u64,
    },
    Frames {
        length_us: u64,
        period_us: u64,
    },
    Poisson {
        length_us: u64,
        rate_per_s: f64,
    },
    Pareto {
        min_us: u64,
        alpha: f64,
        rate_per_s: f64,
    },
    Hang {
        after_ms: u64,
    },
    Liar {
        declared_us: u64,
        length_us: u64,
    },
    List {
        requests: Vec<(u64, u64)>,
    },
}

pub(super) fn load(place: &Place<'_>, entry: LoadEntry) -> Result<Load, ScenarioError> {
    let length = |value| place.positive("length_us", value, US);
    Ok(match entry {
        LoadEntry::Backlogged { length_us } => Load::Backlogged {
            length: length(length_us)?,
        },
        LoadEntry::Closed {
            length_us,
            think_us,
        } => Load::Closed {
            length: length(length_us)?,
            think: place.time("think_us", think_us, US)?,
        },
        LoadEntry::Bursty {
            length_us,
            on_ms,
            off_ms,
        } => Load::Bursty {
            length: length(length_us)?,
            on: place.positive("on_ms", on_ms, MS)?,
            off: place.time("off_ms", off_ms, MS)?,
        },
        LoadEntry::Frames {
            length_us,
            period_us,
        } => Load::Frames {
            length: length(length_us)?,
            period: place.positive("period_us", period_us, US)?,
        },
        LoadEntry::Poisson {
            length_us,
            rate_per_s,
        } => Load::Poisson {
            length: length(length_us)?,
            mean_gap: place.gap(rate_per_s)?,
        },
        LoadEntry::Pareto {
            min_us,
            alpha,
            rate_per_s,
        } => Load::Pareto {
            min: place.positive("min_us", min_us, US)?,
            alpha_thousandths: place.thousandths("alpha", alpha, 1_000)?,
            mean_gap: place.gap(rate_per_s)?,
        },
        LoadEntry::Hang { after_ms } => Load::Hang {
            after: place.time("after_ms", after_ms, MS)?,
        },
        LoadEntry::Liar {
            declared_us,
            length_us,
        } => Load::Liar {
            declared: place.positive("declared_us", declared_us, US)?,
            length: length(length_us)?,
        },
        LoadEntry::List { requests } => {
            let mut list = Vec::with_capacity(requests.len());
            for (arrival, length) in requests {
                list.push((
                    place.time("the arrival of a request", arrival, US)?,
                    place.positive("the length of a request", length, US)?,
                ));
            }
            // Numbered as they come; those that come together stay in the order of the file.
            list.sort_by_key(|&(arrival, _)| arrival);
            Load::List { requests: list }
        }
    })
}
