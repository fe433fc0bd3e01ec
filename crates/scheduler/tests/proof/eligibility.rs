// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who is due, to the nanosecond: a VM is passed over as long as virtual time is one short of its start tag.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Scheduler, SchedulerConfig, VmId, VmProfile,
};

use crate::guest::ppm;

const A: VmId = VmId(1);
const B: VmId = VmId(2);
const C: VmId = VmId(3);

/// A has a half, in units of 100: its second one starts at 200 on its ruler and would end at 400, before anybody else's.
/// B has a quarter and runs from 100 on, for `ran`. C has the other quarter, in units of 1,000. Who runs after B?
fn after_b_ran(ran: u64) -> Option<VmId> {
    let mut scheduler = Scheduler::new(SchedulerConfig::default()).expect("one engine");
    let mut actions = Actions::new();
    let mut tell = |at, event| {
        actions.clear();
        scheduler
            .on(Nanos(at), event, &mut actions)
            .expect("it makes sense");
        actions.as_slice().iter().find_map(|action| match action {
            Action::Grant { vm, .. } => Some(*vm),
            _ => None,
        })
    };
    for (vm, share, unit) in [(A, 500_000, 100), (B, 250_000, 100), (C, 250_000, 1_000)] {
        let profile = VmProfile {
            guarantee: ppm(share),
            slice: Nanos(0),
            max_unit: Some(Nanos(unit)),
            ..VmProfile::default()
        };
        tell(0, Event::AddVm { vm, profile });
    }
    let first = [A, B, C].map(|vm| tell(0, Event::Ready { vm }));
    assert_eq!(first, [Some(A), None, None]);
    let done = |vm, ran| Event::UnitDone {
        engine: EngineId(0),
        vm,
        ran: Nanos(ran),
        more: true,
    };
    assert_eq!(tell(100, done(A, 100)), Some(B));
    tell(100 + ran, done(B, ran))
}

#[test]
fn given_virtual_time_one_nanosecond_before_a_start_tag_then_that_vm_is_passed_over() {
    assert_eq!(after_b_ran(99), Some(C));
}

#[test]
fn given_virtual_time_at_a_start_tag_then_that_vm_is_due() {
    assert_eq!(after_b_ran(100), Some(A));
}
