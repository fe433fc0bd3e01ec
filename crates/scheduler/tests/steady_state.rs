// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Once the VMs are here, deciding allocates nothing. Alone in its file: it counts the allocations of the whole process.

mod counting;

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig, VmId,
    VmProfile,
};

#[test]
fn given_a_thousand_vms_when_they_run_sleep_wake_leave_and_come_back_then_nothing_is_allocated() {
    // A table of a thousand slots of 16 us, at each of which one VM may run, changes hands less often.
    check(Policy::Guaranteed, 0, 10_000);
    check(Policy::Fair, 0, 10_000);
    check(Policy::BestEffort, 0, 10_000);
    check(Policy::Fixed, 1, 1_000);
}

/// Where those without a guarantee have `least` ppm, the engine changes hands at least `changes` times in 100,000 events.
fn check(policy: Policy, least: u32, changes: u32) {
    let config = SchedulerConfig {
        policy,
        ..SchedulerConfig::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    let mut now = 0_u64;
    let profile = |id: u32| VmProfile {
        guarantee: Ppm::new(if id.is_multiple_of(10) { least } else { 1_000 }).unwrap(),
        limit: id.is_multiple_of(7).then(|| Ppm::new(2_000).unwrap()),
        slice: Nanos(u64::from(id % 3) * 100_000),
        ..VmProfile::default()
    };
    for id in 0..1_000 {
        let add = Event::AddVm {
            vm: VmId(id),
            profile: profile(id),
        };
        scheduler.on(Nanos(0), add, &mut actions).unwrap();
    }
    let mut holder = None;
    let mut run = |scheduler: &mut Scheduler, steps: u32| {
        let mut grants = 0_u32;
        for step in 0..steps {
            let vm = VmId(step.wrapping_mul(2_654_435_761) % 1_000);
            now += 20_000;
            let event = match (step % 8, holder) {
                (0, _) => Event::Timer,
                (1, _) if holder != Some(vm) => Event::RemoveVm { vm },
                (1 | 3, _) => Event::SetProfile {
                    vm,
                    profile: profile(vm.0),
                },
                (2 | 4, _) | (_, None) => Event::Ready { vm },
                (_, Some(vm)) => Event::UnitDone {
                    engine: EngineId(0),
                    vm,
                    ran: Nanos(20_000),
                    more: step % 3 != 0,
                },
            };
            scheduler.on(Nanos(now), event, &mut actions).unwrap();
            if let Event::RemoveVm { vm } = event {
                let back = Event::AddVm {
                    vm,
                    profile: profile(vm.0),
                };
                scheduler.on(Nanos(now), back, &mut actions).unwrap();
            }
            for action in actions.drain() {
                match action {
                    Action::Grant { vm, .. } => {
                        holder = Some(vm);
                        grants += 1;
                    }
                    Action::Revoke { .. } => holder = None,
                    _ => {}
                }
            }
        }
        grants
    };
    run(&mut scheduler, 20_000);
    let before = counting::counts()[0];
    let grants = run(&mut scheduler, 100_000);
    let allocated = counting::counts()[0] - before;
    assert!(grants > changes, "{policy:?}: {grants} grants");
    assert_eq!(allocated, 0, "{policy:?}: allocations in 100,000 events");
}
