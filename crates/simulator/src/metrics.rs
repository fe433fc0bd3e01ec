// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a run amounts to: shares, lag, latency against the bound, and the books of the engine.
//!
//! All is counted in integers; the ratios in the report are divided once, at the end.

use serde::Serialize;

use crate::fluid::{Sharing, SlowerEngine};
use crate::inside_report::{InsideMeter, InsideReport};
use crate::scenario::{Scenario, WHOLE_PPM, Work};
use crate::world::{Doing, Interval, Observer, Request};

/// What rounding may cost a request under `guaranteed`, in ns (the head of its policy argues for less than this).
pub const ROUNDING: u64 = 2;

/// Where the engines' time went, in ns. The four add up to the duration, once for each engine, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// It ran units.
    pub busy_ns: u64,
    /// It changed hands.
    pub switch_ns: u64,
    /// It did nothing.
    pub idle_ns: u64,
    /// It was reset.
    pub reset_ns: u64,
}

impl Books {
    fn add(&mut self, interval: &Interval) {
        let length = interval.end - interval.start;
        *match interval.doing {
            Doing::Run(_) => &mut self.busy_ns,
            Doing::Switch(_) => &mut self.switch_ns,
            Doing::Idle { .. } => &mut self.idle_ns,
            Doing::Reset(_) => &mut self.reset_ns,
        } += length;
    }
}

/// What one VM got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VmReport {
    /// Its name.
    pub name: String,
    /// What it was guaranteed.
    pub share_ppm: u32,
    /// What it ran.
    pub service_ns: u64,
    /// What fluid sharing would have given it.
    pub fluid_ns: u64,
    /// How far it was from that at any time, in `L`.
    pub lag_in_l: f64,
    /// Requests that ended.
    pub requests: u64,
    /// From coming to ending: half of them took at most this.
    pub latency_p50_ns: u64,
    /// 99 % of them.
    pub latency_p99_ns: u64,
    /// 99.9 % of them.
    pub latency_p999_ns: u64,
    /// All of them.
    pub latency_max_ns: u64,
    /// Requests that ended (or, at the end of the run, still waited) later than `c/share + L + switch` after they came
    /// or, if they queued, after the VM's own slower engine would have begun them. `None`: no share, no bound.
    pub late: Option<u64>,
    /// The greatest ratio of a latency to its bound.
    pub worst_of_bound: Option<f64>,
    /// What its processes got, if it has any. Its requests then have no bound of their own, since the guest orders them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<InsideReport>,
}

/// What a run amounts to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where the time went.
    pub books: Books,
    /// Of the idle time, that in which somebody had work.
    pub idle_while_work_ns: u64,
    /// `L`: the longest unit that ran.
    pub longest_unit_ns: u64,
    /// The greatest relative distance of a VM's service from fluid sharing, in percent.
    pub share_error_percent: f64,
    /// Jain's index of service over fluid service.
    pub weighted_jain: f64,
    /// The greatest lag of a VM.
    pub lag_in_l: f64,
    /// Each VM, in the order of the scenario.
    pub vms: Vec<VmReport>,
}

/// Which requests are held against the bound, and against which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Those that come from this instant on.
    pub from: u64,
    /// Each counts as long as the longest unit of its VM: what can be promised where lengths must be learned.
    pub own_longest: bool,
}

/// How a VM's requests did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// Requests that counted, those that still wait included.
    pub of: u64,
    /// Those that were late.
    pub late: u64,
    /// The greatest ratio of a latency to its bound.
    pub worst: f64,
}

/// A request and the time by which the slower engine would be done.
#[derive(Clone, Copy, Debug)]
struct Promise {
    arrival: u64,
    length: u64,
    slower_done: u64,
}

#[derive(Clone, Debug)]
struct VmMeter {
    slower: Option<SlowerEngine>,
    service: u64,
    longest_unit: u64,
    lag: u64,
    latencies: Vec<u64>,
    /// Those that wait, in order.
    open: std::collections::VecDeque<Promise>,
    /// Those that ended, with the end.
    kept: Vec<(Promise, u64)>,
    hang_timeout: u64,
    inside: Option<InsideMeter>,
}

/// Watches a run. Follows the fluid reference only `with_lag`, which costs more than all the rest.
#[derive(Clone, Debug)]
pub struct Meter {
    books: Books,
    idle_while_work: u64,
    longest_unit: u64,
    sharing: Option<Sharing>,
    vms: Vec<VmMeter>,
}

impl Meter {
    /// A meter for a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, with_lag: bool) -> Self {
        let shares = scenario.vms.iter().map(|vm| (vm.weight(), vm.endless()));
        let meter = |vm: &crate::scenario::Vm| VmMeter {
            slower: match vm.work {
                Work::Plain(_) => SlowerEngine::new(vm.share_ppm),
                Work::Inside(_) => None,
            },
            hang_timeout: vm.hang_timeout(),
            inside: InsideMeter::new(vm),
            service: 0,
            longest_unit: 0,
            lag: 0,
            latencies: Vec::new(),
            open: std::collections::VecDeque::new(),
            kept: Vec::new(),
        };
        Self {
            books: Books::default(),
            idle_while_work: 0,
            longest_unit: 0,
            sharing: with_lag.then(|| Sharing::new(scenario.engines, shares)),
            vms: scenario.vms.iter().map(meter).collect(),
        }
    }

    /// Service only bends at the ends of intervals, and between them each lag moves one way: its extremes are here.
    fn measure_lag(&mut self, now: u64) {
        if let Some(sharing) = &mut self.sharing {
            sharing.advance(now);
            for (index, vm) in self.vms.iter_mut().enumerate() {
                vm.lag = vm.lag.max(sharing.served(index).abs_diff(vm.service));
            }
        }
    }

    /// The idle time in which somebody had work, of all engines together.
    #[must_use]
    pub const fn idle_while_work(&self) -> u64 {
        self.idle_while_work
    }

    /// How long each request of a VM took that ended, in the order in which they did.
    #[must_use]
    pub fn latencies(&self, vm: usize) -> &[u64] {
        &self.vms[vm].latencies
    }

    /// How many requests of a VM were late; `None` if nothing was promised to it.
    #[must_use]
    pub fn lateness(
        &self,
        vm: usize,
        scenario: &Scenario,
        judgement: Judgement,
    ) -> Option<Lateness> {
        let meter = &self.vms[vm];
        meter.slower?;
        let share = u64::from(scenario.vms[vm].share_ppm);
        let slack = self.longest_unit + scenario.switch_cost + ROUNDING;
        let waiting = meter
            .open
            .iter()
            .map(|promise| (*promise, scenario.duration));
        let mut lateness = Lateness::default();
        for (promise, end) in meter.kept.iter().copied().chain(waiting) {
            if promise.arrival < judgement.from {
                continue;
            }
            let longer = if judgement.own_longest {
                let more = meter.longest_unit.saturating_sub(promise.length);
                (more * u64::from(WHOLE_PPM)).div_ceil(share)
            } else {
                0
            };
            let bound = promise.slower_done.saturating_add(slack + longer);
            let of_bound = ratio(end - promise.arrival, bound - promise.arrival);
            lateness.of += 1;
            lateness.late += u64::from(end > bound);
            lateness.worst = lateness.worst.max(of_bound);
        }
        Some(lateness)
    }

    /// What the run amounts to.
    #[must_use]
    pub fn report(mut self, scenario: &Scenario) -> Report {
        self.measure_lag(scenario.duration);
        let mut vms = Vec::new();
        for (index, vm) in scenario.vms.iter().enumerate() {
            let lateness = self.lateness(index, scenario, Judgement::default());
            let meter = &mut self.vms[index];
            meter.latencies.sort_unstable();
            let percentile = |thousandths| percentile(&meter.latencies, thousandths);
            vms.push(VmReport {
                name: vm.name.clone(),
                share_ppm: vm.share_ppm,
                service_ns: meter.service,
                fluid_ns: self
                    .sharing
                    .as_ref()
                    .map_or(0, |sharing| sharing.served(index)),
                lag_in_l: ratio(meter.lag, self.longest_unit),
                requests: meter.latencies.len() as u64,
                latency_p50_ns: percentile(500),
                latency_p99_ns: percentile(990),
                latency_p999_ns: percentile(999),
                latency_max_ns: percentile(1_000),
                late: lateness.map(|lateness| lateness.late),
                worst_of_bound: lateness.map(|lateness| lateness.worst),
                inside: meter.inside.take().map(|inside| inside.report(vm)),
            });
        }
        let parts: Vec<f64> = vms
            .iter()
            .filter(|vm| vm.fluid_ns > 0)
            .map(|vm| ratio(vm.service_ns, vm.fluid_ns))
            .collect();
        Report {
            books: self.books,
            idle_while_work_ns: self.idle_while_work,
            longest_unit_ns: self.longest_unit,
            share_error_percent: parts
                .iter()
                .map(|part| (part - 1.0).abs() * 100.0)
                .fold(0.0, f64::max),
            weighted_jain: jain(&parts),
            lag_in_l: vms.iter().map(|vm| vm.lag_in_l).fold(0.0, f64::max),
            vms,
        }
    }
}

impl Observer for Meter {
    fn arrived(&mut self, request: &Request) {
        if let Some(sharing) = &mut self.sharing {
            sharing.advance(request.arrival);
            sharing.submit(request.vm, request.length);
        }
        let vm = &mut self.vms[request.vm];
        let slower_done = vm
            .slower
            .as_mut()
            .map_or(0, |slower| slower.submit(request.arrival, request.length));
        vm.open.push_back(Promise {
            arrival: request.arrival,
            length: request.length,
            slower_done,
        });
    }

    fn passed(&mut self, interval: &Interval) {
        let length = interval.end - interval.start;
        self.books.add(interval);
        match interval.doing {
            Doing::Run(request) => {
                let vm = &mut self.vms[request.vm];
                vm.service += length;
                vm.longest_unit = vm.longest_unit.max(length);
                if let Some(inside) = &mut vm.inside {
                    inside.ran(request.context, length);
                }
                self.longest_unit = self.longest_unit.max(length);
            }
            Doing::Idle { work_waited } => {
                self.idle_while_work += if work_waited { length } else { 0 }
            }
            // The stall is paid by its VM, and is as long a wait for the others as a unit of that length.
            Doing::Reset(request) => {
                let vm = &mut self.vms[request.vm];
                vm.service += length;
                if let Some(inside) = &mut vm.inside {
                    inside.ran(request.context, length);
                }
                self.longest_unit = self.longest_unit.max(vm.hang_timeout + length);
            }
            Doing::Switch(_) => {}
        }
        self.measure_lag(interval.end);
    }

    fn ended(&mut self, request: &Request, end: u64, hung: bool) {
        let vm = &mut self.vms[request.vm];
        if let Some(promise) = vm.open.pop_front()
            && !hung
        {
            let latency = end - request.arrival;
            vm.latencies.push(latency);
            if let Some(inside) = &mut vm.inside {
                inside.ended(request.context, latency);
            } else {
                vm.kept.push((promise, end));
            }
        }
    }
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The smallest value that so many thousandths of the sorted values do not exceed; zero of none.
#[must_use]
pub fn percentile(sorted: &[u64], thousandths: usize) -> u64 {
    let rank = (sorted.len() * thousandths).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Jain's index of what each got in parts of what was due to it: 1 if all are equal, 1/n if one has all.
#[must_use]
pub fn jain(parts: &[f64]) -> f64 {
    let sum: f64 = parts.iter().sum();
    let squares: f64 = parts.iter().map(|part| part * part).sum();
    if squares == 0.0 {
        1.0
    } else {
        sum * sum / (parts.len() as f64 * squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_sorted_latencies_then_a_percentile_is_one_of_them() {
        let sorted: Vec<u64> = (1..=1_000).collect();
        let of = |thousandths| percentile(&sorted, thousandths);
        assert_eq!(
            [of(500), of(990), of(999), of(1_000)],
            [500, 990, 999, 1_000]
        );
        assert_eq!(percentile(&[], 990), 0);
        assert_eq!(percentile(&[7], 1), 7);
    }

    #[test]
    fn given_equal_parts_then_jain_is_one_and_given_one_winner_of_four_it_is_a_quarter() {
        assert!((jain(&[2.0; 4]) - 1.0).abs() < 1e-12);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
    }
}
