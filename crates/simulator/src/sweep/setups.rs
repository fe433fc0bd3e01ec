// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The set-up that belongs to a seed.

use rondo_scheduler::inside::BandSettings;

use super::{DURATION, Trouble};
use crate::load::Load;
use crate::random::Random;
use crate::scenario::{MS, Scenario, US, Vm, WHOLE_PPM, Work};

/// No unit is shorter than this where a change of hands costs time, so that shares can leave room for it.
const SHORTEST_UNIT: u64 = 100 * US;

/// The set-up that belongs to a seed.
#[must_use]
pub fn setup(seed: u64, engines: u16, trouble: Trouble) -> Scenario {
    let mut random = Random::new(seed);
    let mut vms = Vec::new();
    // What fits on one engine, for each of them: so there is a way to pack it.
    for _ in 0..engines {
        vms.extend(one_engine(&mut random));
    }
    if engines > 1 {
        // The largest first: then admission can pack most of them as tightly as they came.
        vms.sort_by_key(|vm| std::cmp::Reverse(vm.share_ppm));
    }
    for (n, vm) in vms.iter_mut().enumerate() {
        vm.name = format!("vm{n}");
    }
    let mut scenario = Scenario {
        duration: DURATION,
        switch_cost: 0,
        engines,
        host_share_ppm: 0,
        bands: BandSettings::default(),
        vms,
    };
    match trouble {
        Trouble::Nothing => {}
        Trouble::Learned => scenario.vms.iter_mut().for_each(say_nothing),
        Trouble::Liars => some(&mut random, &mut scenario.vms, lie),
        Trouble::Hangs => some(&mut random, &mut scenario.vms, hang),
        Trouble::SwitchCost => {
            scenario.switch_cost = random.within(US, 20 * US);
            scenario
                .vms
                .iter_mut()
                .for_each(|vm| leave_room(vm, scenario.switch_cost));
        }
    }
    scenario
}

fn one_engine(random: &mut Random) -> Vec<Vm> {
    let count = random.within(2, 16);
    let weights: Vec<u64> = (0..count).map(|_| random.within(1, 8)).collect();
    let sum: u64 = weights.iter().sum();
    let whole = if random.one_in(4) {
        random.within(300_000, 1_000_000)
    } else {
        u64::from(WHOLE_PPM)
    };
    let longest = random.within(1, 50) * MS;
    let period = random.within(5, 200) * MS;
    let vm = |weight: &u64| {
        let share = weight * whole / sum;
        let unit = match random.within(0, 2) {
            0 => longest,
            1 => random.within(100 * US, longest),
            _ => random.within(100 * US, MS),
        };
        let load = load(random, unit, share, period);
        let share = u32::try_from(share).unwrap_or(WHOLE_PPM);
        Vm::plain(String::new(), share, Some(unit), load)
    };
    weights.iter().map(vm).collect()
}

fn load(random: &mut Random, unit: u64, share: u64, period: u64) -> Load {
    let most = unit * random.within(1, 4);
    let length = random.within(US, most);
    // As long as its own slower engine takes for one request.
    let pace = (length * u64::from(WHOLE_PPM)).div_ceil(share.max(1));
    match random.within(0, 7) {
        0 | 1 => Load::Backlogged { length },
        // Sleeps just long enough to be forgotten.
        2 => Load::Closed {
            length,
            think: random.within(1, unit / 4 + 1),
        },
        // Exactly its share, evenly.
        3 => Load::Frames {
            length,
            period: pace,
        },
        // Exactly its share, in bursts.
        4 => {
            let on = random.within(length, length.max(30 * MS));
            let cycle = on * u64::from(WHOLE_PPM) / share.max(1);
            Load::Bursty {
                length,
                on,
                off: cycle - on,
            }
        }
        5 => Load::Poisson {
            length,
            mean_gap: pace.max(US),
        },
        6 => Load::Pareto {
            min: (length / 3).max(US),
            alpha_thousandths: 1_500,
            mean_gap: pace.max(US),
        },
        // Different lengths, all at once, again and again.
        _ => {
            let mut requests = Vec::new();
            for burst in 0..DURATION / period {
                for _ in 0..random.within(1, 4) {
                    requests.push((burst * period, random.within(US, unit * 4)));
                }
            }
            Load::List { requests }
        }
    }
}

/// Applies a change to one VM of three, and to one at least.
fn some(random: &mut Random, vms: &mut [Vm], change: fn(&mut Random, &mut Vm)) {
    let certain = random.within(0, vms.len() as u64 - 1);
    for (vm, n) in vms.iter_mut().zip(0..) {
        if n == certain || random.one_in(3) {
            change(random, vm);
        }
    }
}

/// Each request is one unit, of which nothing is known beforehand. (Where lengths are without bound, units stay declared.)
fn say_nothing(vm: &mut Vm) {
    let unit = vm.max_unit.unwrap_or(MS);
    let clamp = |length: &mut u64| *length = (*length).min(unit);
    let Work::Plain(load) = &mut vm.work else {
        return;
    };
    match load {
        Load::Pareto { .. } => return,
        Load::List { requests } => requests.iter_mut().for_each(|(_, length)| clamp(length)),
        load => load.lengths_mut().for_each(clamp),
    }
    vm.max_unit = None;
}

/// Says that its units are 2 to 50 times shorter than they are.
fn lie(random: &mut Random, vm: &mut Vm) {
    let length = vm.max_unit.take().unwrap_or(MS);
    let declared = length / random.within(2, 50);
    vm.work = Work::Plain(Load::Liar {
        declared: declared.max(1),
        length,
    });
}

/// Hangs once, at any time, for up to 100 ms.
fn hang(random: &mut Random, vm: &mut Vm) {
    let after = random.within(0, DURATION * 3 / 4);
    vm.max_unit = None;
    vm.tuning.hang_timeout = Some(random.within(5 * MS, 100 * MS));
    vm.work = Work::Plain(Load::Hang { after });
}

/// Makes each unit at least [`SHORTEST_UNIT`] long, and the share smaller by what changes of hands then cost at most.
fn leave_room(vm: &mut Vm, switch_cost: u64) {
    let unit = vm.max_unit.unwrap_or(MS).max(SHORTEST_UNIT);
    vm.max_unit = Some(unit);
    let whole_units = |length: u64| {
        if length > unit {
            length.next_multiple_of(unit)
        } else {
            length.max(SHORTEST_UNIT)
        }
    };
    if let Work::Plain(load) = &mut vm.work {
        if let Load::Pareto { min, mean_gap, .. } = *load {
            // Its lengths would end in units of any length.
            *load = Load::Poisson {
                length: min,
                mean_gap,
            };
        }
        if let Load::List { requests } = load {
            for (_, length) in requests {
                *length = whole_units(*length);
            }
        } else {
            load.lengths_mut()
                .for_each(|length| *length = whole_units(*length));
        }
    }
    let share = u64::from(vm.share_ppm) * SHORTEST_UNIT / (SHORTEST_UNIT + switch_cost);
    vm.share_ppm = u32::try_from(share).unwrap_or(WHOLE_PPM).max(1);
}
