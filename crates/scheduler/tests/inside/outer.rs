// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a guest does inside its VM is nothing to the scheduler between VMs.

use proptest::prelude::*;
use rondo_scheduler::inside::*;
use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Ppm, Scheduler, SchedulerConfig, VmAccount, VmId,
    VmProfile,
};

use super::world::*;

/// A guest: per context its process, band, priority.
type Mix = Vec<(u64, u8, i8)>;

fn mix() -> impl Strategy<Value = Mix> {
    proptest::collection::vec((0_u64..4, 0_u8..4, -7_i8..=7), 1..12)
}

/// Runs two VMs with always the same units; the first has `mix` inside. Returns all that the outer scheduler did, its
/// accounts, and the time that the inner one has seen.
fn outer(mix: &Mix, units: &[u64]) -> (Vec<Action>, [Option<VmAccount>; 2], u64) {
    let mut inside = World::new(BandSettings::default());
    for (context, &(process, band, level)) in (0..).zip(mix) {
        let properties = ContextProperties {
            band: Band::ALL[usize::from(band)],
            ..priority(level)
        };
        inside.busy(process, context, properties);
    }
    let vms = [VmId(0), VmId(1)];
    let mut scheduler = Scheduler::new(SchedulerConfig::default()).unwrap();
    let mut actions = Actions::new();
    let mut now = 0;
    for vm in vms {
        let profile = VmProfile {
            guarantee: Ppm::new(300_000).unwrap(),
            ..VmProfile::default()
        };
        scheduler
            .on(Nanos(now), Event::AddVm { vm, profile }, &mut actions)
            .unwrap();
        scheduler
            .on(Nanos(now), Event::Ready { vm }, &mut actions)
            .unwrap();
    }
    let mut trace = Vec::new();
    let mut holder = None;
    for &ran in units {
        for action in actions.drain() {
            trace.push(action);
            match action {
                Action::Grant { vm, .. } => holder = Some(vm),
                Action::Revoke { .. } => holder = None,
                _ => {}
            }
        }
        let vm = holder.unwrap();
        if vm == vms[0] {
            let context = inside.unit(ran);
            // It sleeps and changes its mind all the time, but somebody always has work.
            inside.sleep(context);
            inside.wake(context);
            inside.inside.focus_present();
        }
        now += ran;
        let done = Event::UnitDone {
            engine: EngineId(0),
            vm,
            ran: Nanos(ran),
            more: true,
        };
        scheduler.on(Nanos(now), done, &mut actions).unwrap();
    }
    let seen = Band::ALL.map(|band| inside.band_time(band)).iter().sum();
    (trace, vms.map(|vm| scheduler.account(vm)), seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn given_any_two_guests_then_the_outer_scheduler_does_the_same_to_the_nanosecond(
        one in mix(),
        other in mix(),
        units in proptest::collection::vec(1_u64..2_000_000, 200..600),
    ) {
        let (first, second) = (outer(&one, &units), outer(&other, &units));
        prop_assert_eq!(&first, &second);
        // What ran inside is what was charged outside.
        prop_assert_eq!(first.1[0].map(|account| account.charged.0), Some(first.2));
    }
}
