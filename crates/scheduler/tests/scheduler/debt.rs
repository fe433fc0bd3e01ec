// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM used too much it waits for, whatever it does in between.

use rondo_scheduler::{Nanos, Policy, VmProfile};

use crate::fluid::worst_lateness;
use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{Guest, Load, MS, US, World, ppm, share};

/// A quarter that declared 1 ms and ran 50, among three quarters that are always busy.
fn liar(policy: Policy, rest: Vec<(u64, u64)>) -> World {
    let mut list = vec![(10 * MS, 50 * MS)];
    list.extend(rest);
    let mut liar = Guest::new(0, 250_000, 50 * MS, Load::List(list));
    liar.profile.max_unit = Some(Nanos(MS));
    let mut guests = vec![liar];
    guests.extend((1..4).map(|id| Guest::new(id, 250_000, MS, Load::busy(MS))));
    World::under(policy, 1, guests)
}

/// Where all VMs are active or in debt, what is owed is the same under both.
const WITH_DEBTS: [Policy; 2] = [Policy::Guaranteed, Policy::Fair];

/// When the liar ran again after its 50 ms, which it began at about 10 ms and which are a quarter of 200 ms.
fn back_after(world: &World) -> u64 {
    world.clients[0].ran[1].0
}

const DUE: std::ops::RangeInclusive<u64> = 205 * MS..=216 * MS;

#[test]
fn given_an_overrun_when_the_vm_stays_busy_then_it_waits_until_the_others_have_had_their_part() {
    for policy in WITH_DEBTS {
        let mut world = liar(policy, vec![(10 * MS, MS)]);
        world.run_until(400 * MS);
        assert!(DUE.contains(&back_after(&world)), "{}", back_after(&world));
    }
}

#[test]
fn given_an_overrun_when_the_vm_sleeps_then_its_debt_is_neither_forgotten_nor_greater() {
    for policy in WITH_DEBTS {
        for nap in [1, MS, 50 * MS, 100 * MS] {
            let mut world = liar(policy, vec![(70 * MS + nap, MS)]);
            world.run_until(400 * MS);
            assert!(
                DUE.contains(&back_after(&world)),
                "nap {nap}: {}",
                back_after(&world)
            );
        }
        let mut world = liar(policy, vec![(300 * MS, MS)]);
        world.run_until(400 * MS);
        assert!(back_after(&world) <= 303 * MS, "it is paid by then");
    }
}

#[test]
fn given_an_overrun_when_the_profile_is_set_again_and_again_then_the_debt_stays() {
    for policy in WITH_DEBTS {
        let mut world = liar(policy, vec![(10 * MS, MS)]);
        for at in 15..200 {
            world.run_until(at * MS);
            let mut profile = VmProfile {
                max_unit: Some(Nanos(MS)),
                ..share(250_000)
            };
            // Anything may change: the slice, a share to and fro.
            profile.slice = Nanos(at % 7 * MS);
            if at % 3 == 0 && at > 80 {
                profile.guarantee = ppm(125_000);
                world.set_profile(0, profile);
                profile.guarantee = ppm(250_000);
            }
            world.set_profile(0, profile);
        }
        world.run_until(400 * MS);
        assert!(DUE.contains(&back_after(&world)), "{}", back_after(&world));
    }
}

#[test]
fn given_a_debt_when_the_share_changes_then_the_work_owed_is_the_same() {
    for policy in WITH_DEBTS {
        let mut world = liar(policy, Vec::new());
        world.run_until(70 * MS);
        let owed = world.lag(0);
        assert!(owed < -30 * MS as i64, "{owed}");
        for parts in [1, 77, 125_000, 249_999, 250_000] {
            world.set_profile(0, share(parts));
            assert!(
                world.lag(0).abs_diff(owed) <= 10,
                "{parts} ppm: {} instead of {owed}",
                world.lag(0)
            );
        }
        world.set_profile(0, share(0));
        assert!(
            world.lag(0).abs_diff(owed) <= 10,
            "best effort: {}",
            world.lag(0)
        );
    }
}

#[test]
fn given_an_overrun_when_the_vm_leaves_and_comes_back_then_it_still_owes() {
    for policy in WITH_DEBTS {
        let mut world = liar(policy, Vec::new());
        world.run_until(70 * MS);
        let owed = world.lag(0);
        world.leave(0);
        let mut again = Guest::new(0, 250_000, MS, Load::List(vec![(0, MS)]));
        again.profile.max_unit = Some(Nanos(MS));
        let index = world.join(again);
        assert!(
            world.lag(index).abs_diff(owed) <= 10,
            "{} instead of {owed}",
            world.lag(index)
        );
        world.run_until(400 * MS);
        let back = world.clients[index].ran[0].0;
        assert!(DUE.contains(&back), "{back}");
    }
}

#[test]
fn given_a_vm_that_left_in_debt_when_another_needs_its_place_then_that_starts_after_the_debt() {
    let mut world = liar(Policy::Guaranteed, Vec::new());
    world.run_until(70 * MS);
    world.leave(0);
    let index = world.join(Guest::new(77, 250_000, MS, Load::List(vec![(0, MS)])));
    world.run_until(400 * MS);
    let first = world.clients[index].ran[0].0;
    assert!(DUE.contains(&first), "{first}");
}

#[test]
fn given_names_that_leave_and_join_all_the_time_then_the_bound_of_those_who_stay_holds() {
    for seed in 1..=16 {
        let mut random = Random::new(seed ^ 0x901);
        // Those who stay have half of the engine, or less; the other half comes and goes.
        let stay: Vec<Guest> = adversarial(seed, Units::Whole)
            .into_iter()
            .map(|mut guest| {
                guest.profile.guarantee = ppm((guest.profile.guarantee.get() / 2).max(1));
                guest
            })
            .collect();
        let staying = stay.len();
        let mut world = World::new(seed, stay);
        let mut guests: Vec<usize> = Vec::new();
        let mut name = 100;
        let mut longest = world.longest_unit();
        for _ in 0..400 {
            let pause = random.within(0, 5 * MS);
            world.run_until(world.now + pause);
            if guests.len() == 5 || (random.one_in(2) && !guests.is_empty()) {
                let index = guests.swap_remove(random.within(0, guests.len() as u64 - 1) as usize);
                world.leave(index);
            } else {
                let unit = random.within(100 * US, 20 * MS);
                longest = longest.max(unit);
                name += 1;
                // A leaver's last unit still runs, so its part may not be free yet: a tenth each, five at most.
                guests.push(world.join(Guest::new(name, 80_000, unit, Load::busy(unit))));
            }
        }
        for client in &world.clients[..staying] {
            let late = worst_lateness(client, |_| 0);
            assert!(
                late <= i128::from(longest) + 2,
                "seed {seed}: VM {} was {late} ns late",
                client.guest.id.0
            );
        }
    }
}

#[test]
fn given_profiles_that_change_at_random_then_nothing_is_lost_and_those_left_alone_are_late_by_at_most_a_unit_each()
 {
    for seed in 1..=16 {
        let mut random = Random::new(seed ^ 0x5e7);
        let mut guests = adversarial(seed, Units::Whole);
        for guest in &mut guests {
            guest.profile.guarantee = ppm((guest.profile.guarantee.get() / 2).max(1));
        }
        let alone = guests[0].profile;
        let mut world = World::new(seed, guests);
        let others = world.clients.len() as u64 - 1;
        for _ in 0..200 {
            let pause = random.within(0, 10 * MS);
            world.run_until(world.now + pause);
            let index = random.within(1, others) as usize;
            let mut profile = world.clients[index].guest.profile;
            profile.guarantee = ppm(random.within(0, 500_000 / others) as u32);
            profile.slice = Nanos(random.within(0, 5 * MS));
            world.set_profile(index, profile);
        }
        assert_eq!(world.clients[0].guest.profile, alone);
        let longest = i128::from(world.longest_unit());
        let late = worst_lateness(&world.clients[0], |_| 0);
        assert!(
            late <= longest + 2,
            "seed {seed}: {late} ns late, L is {longest}"
        );
    }
}
