// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The pictures of `docs/scheduling.md`, as SVG: the same bytes each time.

mod alternation;
mod latency;
mod sleeper;
mod style;
mod sweep_bars;

use std::error::Error;

pub use sweep_bars::SETUPS;

/// What drawing can fail with: bugs of ours only, since nothing is written.
pub type Drawing = Result<String, Box<dyn Error + Send + Sync>>;

/// A picture: the name of its file, and how it is drawn.
pub type Picture = (&'static str, fn() -> Drawing);

/// All of them.
pub const ALL: [Picture; 4] = [
    ("latency.svg", latency::draw),
    ("bound.svg", sweep_bars::draw),
    ("alternation.svg", alternation::draw),
    ("sleeper.svg", sleeper::draw),
];
