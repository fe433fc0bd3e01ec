// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Client VMs: together they are one entity beside the server VMs, and among themselves they are equal.

use rondo_scheduler::{
    Action, EngineId, Event, Mode, Nanos, Policy, SchedulerConfig, SchedulerError, VmId, VmProfile,
};

use crate::desk::{Desk, grant, patient};
use crate::world::{MS, ppm};

fn client() -> VmProfile {
    VmProfile {
        mode: Mode::Client,
        ..patient(0)
    }
}

/// All VMs are always busy with units of `unit` on one engine for `units` units; what each was charged.
fn busy(desk: &mut Desk, vms: &[u32], unit: u64, units: u64) -> Vec<u64> {
    let mut holder = None;
    let mut now = 0;
    let mut actions: Vec<Action> = vms.iter().flat_map(|&vm| desk.ready(0, vm)).collect();
    for _ in 0..units {
        for action in actions {
            match action {
                Action::Grant { vm, .. } => {
                    assert_eq!(holder.replace(vm), None);
                }
                Action::Revoke { vm, .. } => assert_eq!(holder.take(), Some(vm)),
                _ => {}
            }
        }
        let vm = holder.expect("never idle");
        now += unit;
        actions = desk.done(now, 0, vm.0, unit, true);
    }
    vms.iter().map(|&vm| desk.account(vm).charged.0).collect()
}

#[test]
fn given_a_server_vm_and_three_clients_then_the_clients_together_have_the_hosts_part_and_each_a_third_of_it()
 {
    let mut desk = Desk::new(SchedulerConfig {
        host_guarantee: ppm(300_000),
        ..SchedulerConfig::default()
    });
    desk.add(0, 1, patient(700_000));
    for vm in [2, 3, 4] {
        desk.add(0, vm, client());
    }
    let used = busy(&mut desk, &[1, 2, 3, 4], MS / 10, 100_000);
    let whole = 100_000 * MS / 10;
    assert!(used[0].abs_diff(whole / 10 * 7) <= MS, "{used:?}");
    for client in &used[1..] {
        // One process quantum of 4 ms.
        assert!(client.abs_diff(whole / 10) <= 4 * MS, "{used:?}");
    }
    assert_eq!(
        desk.scheduler.busy(EngineId(0)),
        Some(Nanos(used.iter().sum()))
    );
}

#[test]
fn given_one_client_that_sleeps_then_the_others_have_its_part_of_the_hosts() {
    let mut desk = Desk::new(SchedulerConfig {
        host_guarantee: ppm(500_000),
        ..SchedulerConfig::default()
    });
    desk.add(0, 1, patient(500_000));
    for vm in [2, 3, 4] {
        desk.add(0, vm, client());
    }
    let used = busy(&mut desk, &[1, 2, 3], MS / 10, 50_000);
    let whole = 50_000 * MS / 10;
    assert!(used[0].abs_diff(whole / 2) <= MS, "{used:?}");
    assert!(used[1].abs_diff(whole / 4) <= 4 * MS, "{used:?}");
}

#[test]
fn given_a_guarantee_for_a_client_then_it_is_refused() {
    let mut desk = Desk::engines(1);
    let (vm, asked) = (VmId(1), ppm(10));
    let profile = VmProfile {
        guarantee: asked,
        ..client()
    };
    let refused = Err(SchedulerError::ClientWithGuarantee { vm, asked });
    assert_eq!(desk.tell(0, Event::AddVm { vm, profile }), refused);
    desk.add(0, 1, client());
    assert_eq!(desk.tell(0, Event::SetProfile { vm, profile }), refused);
}

#[test]
fn given_two_engines_and_two_clients_of_one_when_the_other_is_free_then_a_client_moves_there() {
    let mut desk = Desk::engines(2);
    for vm in [1, 2, 3] {
        desk.add(0, vm, client());
    }
    let crowded = desk.home(3);
    let other = if desk.home(1) == crowded { 1 } else { 2 };
    assert_eq!(desk.ready(0, 3), [grant(crowded, 3)]);
    assert_eq!(desk.ready(0, other), [grant(1 - crowded, other)]);
    assert_eq!(desk.home(other), 1 - crowded);
}

#[test]
fn given_clients_when_they_leave_sleep_turn_into_servers_and_back_then_the_others_go_on() {
    for policy in [Policy::Guaranteed, Policy::Fair, Policy::BestEffort] {
        let mut desk = Desk::new(SchedulerConfig {
            policy,
            ..SchedulerConfig::default()
        });
        for vm in [1, 2, 3] {
            desk.add(0, vm, client());
        }
        assert_eq!(desk.ready(0, 1), [grant(0, 1)]);
        assert_eq!(desk.ready(0, 2), []);
        assert_eq!(desk.ready(0, 3), []);
        // The one that runs becomes a server VM in the middle of its unit.
        let vm = VmId(1);
        let profile = patient(100_000);
        let turned = desk
            .tell(MS / 2, Event::SetProfile { vm, profile })
            .unwrap();
        assert_eq!(turned, [crate::desk::preempt(0, 1)], "{policy:?}");
        let next = desk.done(MS, 0, 1, MS, false);
        assert_eq!(next[0], crate::desk::revoke(0, 1));
        let Some(&Action::Grant { vm, .. }) = next.last() else {
            panic!("{policy:?}: {next:?}");
        };
        let gone = desk.tell(MS, Event::RemoveVm { vm }).unwrap();
        assert_eq!(gone, [crate::desk::preempt(0, vm.0)]);
        let other = 5 - vm.0;
        let next = desk.done(2 * MS, 0, vm.0, MS, true);
        assert_eq!(next, [crate::desk::revoke(0, vm.0), grant(0, other)]);
        assert_eq!(
            desk.done(3 * MS, 0, other, MS, false),
            [crate::desk::revoke(0, other)]
        );
        assert_eq!(desk.scheduler.vms(), 2);
        assert_eq!(desk.ready(4 * MS, 1), [grant(0, 1)]);
    }
}
