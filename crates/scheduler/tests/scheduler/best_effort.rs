// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `best-effort`: turns, and nothing else.

use rondo_scheduler::{Nanos, Policy};

use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{Guest, Load, MS, US, World};

#[test]
fn given_any_load_then_a_vm_waits_at_most_one_turn_of_each_other() {
    for seed in 1..=32 {
        let mut random = Random::new(seed ^ 0xbe);
        let guests: Vec<Guest> = adversarial(seed, Units::Announced)
            .into_iter()
            .map(|guest| guest.slice(random.within(0, 10) * MS))
            .collect();
        let turn = |guest: &Guest| guest.profile.slice.0.max(guest.unit);
        let all: u64 = guests.iter().map(turn).sum();
        let mut world = World::under(Policy::BestEffort, seed, guests);
        for tick in 1..200 {
            world.run_until(tick * 5 * MS);
            assert!((0..world.clients.len()).all(|index| world.lag(index) == 0));
        }
        for client in &world.clients {
            let others = all - turn(&client.guest);
            let account = world.scheduler.account(client.guest.id).unwrap();
            assert!(account.units > 0, "seed {seed}: VM {}", client.guest.id.0);
            assert!(
                account.longest_wait <= Nanos(others),
                "seed {seed}: VM {} waited {:?}, the others' turns are {others}",
                client.guest.id.0,
                account.longest_wait
            );
        }
    }
}

#[test]
fn given_busy_vms_then_they_take_turns_of_a_slice_whatever_their_guarantees() {
    let busy = |id, parts| Guest::new(id, parts, 300 * US, Load::busy(300 * US)).slice(2 * MS);
    let guests = vec![busy(0, 700_000), busy(1, 0), busy(2, 10_000)];
    let mut world = World::under(Policy::BestEffort, 1, guests);
    world.run_until(1_800 * MS);
    // Six units of 0.3 ms fit into 2 ms.
    assert_eq!(world.grants, 1_001, "a turn of 1.8 ms each");
    for client in &world.clients {
        assert!(client.work_in(0, 1_800 * MS).abs_diff(600 * MS) <= 2 * MS);
    }
}

#[test]
fn given_longer_units_than_the_slice_then_they_get_more_which_is_why_this_promises_no_share() {
    let busy = |id, unit| Guest::new(id, 500_000, unit, Load::busy(unit)).slice(MS);
    let guests = vec![busy(0, 9 * MS), busy(1, MS)];
    let mut world = World::under(Policy::BestEffort, 1, guests);
    world.run_until(1_000 * MS);
    assert_eq!(world.clients[0].work_in(0, 1_000 * MS), 900 * MS);
    assert_eq!(world.clients[1].work_in(0, 1_000 * MS), 100 * MS);
}
