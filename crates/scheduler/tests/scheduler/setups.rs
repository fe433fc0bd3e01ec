// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random set-ups that look for trouble: 2 to 16 VMs, shares 1:8, units of 0.1 to 50 ms, loads that sleep, burst and gang up.

use crate::random::Random;
use crate::world::{Guest, Load, MS, US};

/// How requests are cut into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// A request is one or more whole units of the declared length.
    Whole,
    /// Requests of any length; the length of each next unit is announced.
    Announced,
    /// Requests of any length; only the longest unit is declared.
    Declared,
}

pub fn adversarial(seed: u64, units: Units) -> Vec<Guest> {
    let mut random = Random::new(seed);
    let count = random.within(2, 16);
    let weights: Vec<u64> = (0..count).map(|_| random.within(1, 8)).collect();
    let sum: u64 = weights.iter().sum();
    // Now and then a part of the engine is nobody's.
    let whole = if random.one_in(4) {
        random.within(300_000, 1_000_000)
    } else {
        1_000_000
    };
    // One scale for a set-up, from units alike to one hog among mice.
    let longest = random.within(1, 50) * MS;
    let period = random.within(5, 200) * MS;
    (0..count)
        .map(|n| {
            let parts = (weights[n as usize] * whole / sum) as u32;
            let unit = match random.within(0, 2) {
                0 => longest,
                1 => random.within(100 * US, longest),
                _ => random.within(100 * US, MS),
            };
            let most = random.within(1, 4);
            let length = |random: &mut Random| match units {
                Units::Whole => unit * random.within(1, most),
                Units::Announced | Units::Declared => random.within(1_000, unit * most),
            };
            let load = match random.within(0, 5) {
                // Always busy.
                0 | 1 if units == Units::Whole => Load::busy(unit),
                0 | 1 => Load::Closed {
                    length: (1_000, unit * most),
                    pause: (0, 0),
                },
                // Sleeps just long enough to be forgotten.
                2 if units == Units::Whole => Load::Closed {
                    length: (unit, unit),
                    pause: (1, unit / 4 + 1),
                },
                2 => Load::Closed {
                    length: (1_000, unit),
                    pause: (1, unit / 4 + 1),
                },
                // All at once, again and again.
                3 => {
                    let mut list = Vec::new();
                    for burst in 0..1_500 * MS / period {
                        for _ in 0..random.within(1, 4) {
                            list.push((burst * period, length(&mut random)));
                        }
                    }
                    Load::List(list)
                }
                // As much as its share, in even steps.
                4 => {
                    let step = u128::from(unit) * 1_000_000 / u128::from(parts.max(1));
                    Load::periodic(
                        random.within(0, period),
                        step.min(u128::from(u64::MAX / 4)) as u64 + 1,
                        unit,
                        200,
                    )
                }
                // At any time.
                _ => {
                    let mut at = 0;
                    let mut list = Vec::new();
                    for _ in 0..100 {
                        at += random.within(0, 30 * MS);
                        list.push((at, length(&mut random)));
                    }
                    Load::List(list)
                }
            };
            let guest = Guest::new(n as u32, parts.max(1), unit, load);
            if units == Units::Announced {
                guest.announcing()
            } else {
                guest
            }
        })
        .collect()
}
