// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Whether a policy kept its promise in `rondo demo`: each one is judged by its own.
//!
//! A guest that a busy host keeps from asking for the GPU rightly loses to those that do ask. So only VMs that had work nearly
//! all the time can have been wronged.

use super::{Failure, say};
use crate::config::PolicyChoice;
use crate::report::{Report, VmAccount, VmReport, parts_per_million};
use crate::session::MAX_UNIT;

/// How far a share may be from what was promised, in parts per million.
const TOLERANCE_PPM: u32 = 10_000;
/// The part of the time, in parts per million, for which a VM must have had work to count as always asking; the rest is what the
/// engine takes to change hands.
const ALL_THE_TIME_PPM: u32 = 980_000;
/// A frame of the table of `fixed`.
const FIXED_FRAME_NS: u64 = 16_000_000;

/// A VM's part of the measurement, in parts per million.
#[derive(Debug)]
struct Line<'a> {
    vm: &'a VmReport,
    /// What the policy promised for this measurement; `None`: no share.
    promised: Option<u32>,
    /// How much of the time it had work.
    asked: u32,
    got: u32,
    allowance: u32,
}

impl Line<'_> {
    fn asked_always(&self) -> bool {
        self.asked >= ALL_THE_TIME_PPM
    }

    /// Whether it got less than it was promised, whoever is to blame.
    fn fell_short(&self) -> bool {
        match self.promised {
            Some(promised) => self.got.saturating_add(self.allowance) < promised,
            None => self.vm.gpu_ns == 0,
        }
    }

    /// Whether it got more than `fixed` gives anybody.
    fn exceeds(&self) -> bool {
        self.promised
            .is_some_and(|promised| self.got > promised.saturating_add(self.allowance))
    }
}

/// Says what was promised and what was got, and judges it.
///
/// # Errors
/// [`Failure::NotKept`] if the promise was broken.
pub fn judge(policy: PolicyChoice, report: &Report, accounts: &[VmAccount]) -> Result<(), Failure> {
    let lines = lines(policy, report, accounts);
    say!("Promised ({policy}): {}.", promise(policy));
    say!("VM          promised   had work        got");
    for line in &lines {
        let promised = line.promised.map_or_else(|| "turns".to_owned(), percent);
        let (asked, got) = (percent(line.asked), percent(line.got));
        say!("{:<10}{promised:>10}{asked:>11}{got:>11}", line.vm.name);
    }
    let busy = busy(report);
    let broken = lines
        .iter()
        .find(|line| line.asked_always() && line.fell_short());
    if let Some(line) = broken {
        let name = &line.vm.name;
        return Err(Failure::NotKept(match line.promised {
            Some(promised) => format!(
                "{name} did not get its slice: {} of {}; {busy}",
                percent(line.got),
                percent(promised)
            ),
            None => format!("{name} starved: it had work and never had a turn; {busy}"),
        }));
    }
    if policy == PolicyChoice::Fixed
        && let Some(line) = lines.iter().find(|line| line.exceeds())
    {
        return Err(Failure::NotKept(format!(
            "{} got more than its slots: {} of {}; {busy}",
            line.vm.name,
            percent(line.got),
            percent(line.promised.unwrap_or(0))
        )));
    }
    if lines.iter().any(Line::fell_short) {
        say!(
            "No verdict, for this host is too busy with other things for the guests to ask for the GPU all the time; {busy}."
        );
    } else if policy == PolicyChoice::BestEffort {
        say!("Every VM had its turns; {busy}.");
    } else {
        say!("Every VM got its slice; {busy}.");
    }
    Ok(())
}

fn promise(policy: PolicyChoice) -> &'static str {
    match policy {
        PolicyChoice::Guaranteed => {
            "each VM has its part of the GPU whenever it has work, and what others leave is lent to it"
        }
        PolicyChoice::Fixed => {
            "each VM has its slots, which are its part of the time, and nothing else; what it leaves stays idle"
        }
        PolicyChoice::Fair => "the VMs that have work divide the GPU by weight",
        PolicyChoice::BestEffort => {
            "the VMs that have work take turns; no share, but nobody starves"
        }
    }
}

fn lines<'a>(policy: PolicyChoice, report: &'a Report, accounts: &[VmAccount]) -> Vec<Line<'a>> {
    let active = report.vms.iter().filter(|vm| vm.gpu_ns > 0);
    let weights: u64 = active.map(|vm| u64::from(vm.guarantee_ppm)).sum();
    let line = |(vm, account): (&'a VmReport, &VmAccount)| {
        let asked = account.used.gpu.0.saturating_add(account.used.waited.0);
        // Of the time in which the GPU was used; `fixed` alone promises time as such.
        let got = match policy {
            PolicyChoice::Fixed => parts_per_million(vm.gpu_ns, report.elapsed_ns),
            _ => vm.share_ppm,
        };
        let promised = match policy {
            PolicyChoice::Guaranteed | PolicyChoice::Fixed => Some(vm.guarantee_ppm),
            // On several engines this is the least: who shares an engine with few gets more.
            PolicyChoice::Fair => Some(parts_per_million(u64::from(vm.guarantee_ppm), weights)),
            PolicyChoice::BestEffort => None,
        };
        let allowance = match policy {
            // The end of each slot stays idle where the longest unit would not fit, and where the measurement begins and ends a
            // slot may be in or out of it.
            PolicyChoice::Fixed => {
                let unit = parts_per_million(MAX_UNIT.0, FIXED_FRAME_NS);
                let frame = parts_per_million(FIXED_FRAME_NS, report.elapsed_ns);
                TOLERANCE_PPM.saturating_add(unit).saturating_add(frame)
            }
            _ => TOLERANCE_PPM,
        };
        Line {
            vm,
            promised,
            // A wait that began before the measurement may have ended in it.
            asked: parts_per_million(asked, report.elapsed_ns).min(1_000_000),
            got,
            allowance,
        }
    };
    report.vms.iter().zip(accounts).map(line).collect()
}

/// How much of the time the engines were busy.
fn busy(report: &Report) -> String {
    let of_one_engine = report.busy_ns / u64::from(report.engines.max(1));
    let part = percent(parts_per_million(of_one_engine, report.elapsed_ns));
    match report.engines {
        1 => format!("GPU busy {part}"),
        engines => format!("{engines} engines busy {part}"),
    }
}

/// Parts per million as percent with two decimals.
pub fn percent(ppm: u32) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PriorityChoice;
    use rondo_adapter::ddi::{Guid, VmStatistics};
    use rondo_scheduler::{Mode, Nanos};

    /// One second in which VMs with these guarantees (percent) ran for and waited for so many milliseconds.
    fn second(policy: PolicyChoice, engines: u16, vms: &[(u32, u64, u64)]) -> Result<(), Failure> {
        let accounts: Vec<_> = vms
            .iter()
            .map(|&(guarantee, gpu, waited)| VmAccount {
                name: "vm".to_owned(),
                guid: Guid::default(),
                guarantee_ppm: guarantee * 10_000,
                mode: Mode::Server,
                priority: PriorityChoice::Normal,
                started_ns: 0,
                used: VmStatistics {
                    gpu: Nanos::from_millis(gpu),
                    waited: Nanos::from_millis(waited),
                    ..VmStatistics::default()
                },
            })
            .collect();
        let report = Report::new(policy.name(), engines, 1_000_000_000, &accounts);
        judge(policy, &report, &accounts)
    }

    #[track_caller]
    fn broken(result: Result<(), Failure>, says: &str) {
        let failure = result.expect_err(says);
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains(says), "{failure}");
    }

    use PolicyChoice::{BestEffort, Fair, Fixed, Guaranteed};

    #[test]
    fn the_verdict_is_good_within_one_percent() {
        for policy in [Guaranteed, Fair] {
            assert!(second(policy, 1, &[(75, 745, 255), (25, 255, 745)]).is_ok());
        }
    }

    #[test]
    fn a_vm_that_asked_all_the_time_and_got_less_makes_it_bad() {
        for policy in [Guaranteed, Fair, Fixed] {
            let result = second(policy, 1, &[(75, 700, 299), (25, 300, 699)]);
            broken(result, "70.00 % of 75.00 %");
        }
    }

    #[test]
    fn a_vm_that_could_not_ask_has_not_been_wronged() {
        let starved = [(75, 400, 100), (25, 400, 600)];
        assert!(second(Guaranteed, 1, &starved).is_ok());
        assert!(second(Fair, 1, &starved).is_ok());
    }

    #[test]
    fn what_nobody_was_promised_may_go_to_anybody_when_it_is_lent_and_is_divided_when_it_is_fair() {
        let uneven = [(20, 700, 300), (20, 300, 700)];
        assert!(second(Guaranteed, 1, &uneven).is_ok());
        broken(second(Fair, 1, &uneven), "30.00 % of 50.00 %");
    }

    #[test]
    fn fixed_promises_slots_of_the_time_no_less_and_no_more() {
        assert!(second(Fixed, 1, &[(50, 500, 500), (25, 250, 750)]).is_ok());
        // Half of the GPU time that was used, and too little of the time.
        broken(
            second(Fixed, 1, &[(50, 250, 750), (50, 250, 750)]),
            "25.00 %",
        );
        broken(second(Fixed, 1, &[(50, 560, 440)]), "more than its slots");
    }

    #[test]
    fn best_effort_promises_no_share_but_turns() {
        assert!(second(BestEffort, 1, &[(75, 100, 900), (25, 900, 100)]).is_ok());
        broken(
            second(BestEffort, 1, &[(75, 1_000, 0), (25, 0, 1_000)]),
            "starved",
        );
    }

    #[test]
    fn with_several_engines_a_guarantee_is_a_part_of_one() {
        assert!(second(Guaranteed, 2, &[(75, 990, 10), (75, 990, 10)]).is_ok());
        broken(
            second(
                Guaranteed,
                2,
                &[(75, 600, 399), (75, 1_000, 0), (75, 400, 600)],
            ),
            "of 75.00 %",
        );
    }
}
