// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who gets how much: exact shares, nothing wasted, nothing above a limit.

use rondo_scheduler::{Policy, VmState};

use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{ENGINE, Guest, Load, MS, POLICIES, US, World};

/// Those that promise a part of the engine to VMs that are all busy.
const BY_SHARE: [Policy; 2] = [Policy::Guaranteed, Policy::Fair];

/// The greatest difference, over windows that begin and end with a unit, between what a VM that is always busy got and its
/// part of the time.
fn worst_error(world: &World, index: usize, from: u64) -> u64 {
    let client = &world.clients[index];
    let parts = u128::from(client.guest.profile.guarantee.get());
    // error(a, b) = |work(0, b) - work(0, a) - parts * (b - a)|, so the extremes of work(0, t) - parts * t are enough.
    let (mut work, mut high, mut low) = (0_i128, i128::MIN, i128::MAX);
    let mut note = |at: u64, work: i128| {
        if at >= from {
            let due = i128::try_from(u128::from(at) * parts / 1_000_000).unwrap();
            high = high.max(work - due);
            low = low.min(work - due);
        }
    };
    for &(start, end) in &client.ran {
        note(start, work);
        work += i128::from(end - start);
        note(end, work);
    }
    u64::try_from(high - low).unwrap()
}

#[test]
fn given_two_vms_that_are_always_busy_then_every_window_is_shared_exactly_to_within_one_slice() {
    for (one, other) in [
        (500_000, 500_000),
        (750_000, 250_000),
        (900_000, 100_000),
        (666_667, 333_333),
    ] {
        for slice in [0, MS, 2 * MS, 5 * MS] {
            let unit = 100 * US;
            let busy = |id, parts| Guest::new(id, parts, unit, Load::busy(unit)).slice(slice);
            for policy in BY_SHARE {
                let mut world = World::under(policy, 1, vec![busy(1, one), busy(2, other)]);
                world.run_until(1_000 * MS);
                for index in 0..2 {
                    let error = worst_error(&world, index, 0);
                    assert!(
                        error <= slice.max(unit) + 10,
                        "{policy:?}, {one}:{other}, slice {slice}: VM {index} is off by {error} ns"
                    );
                }
            }
        }
    }
}

#[test]
fn given_a_slice_then_the_engine_changes_hands_once_a_slice_and_not_once_a_unit() {
    let busy = |id| Guest::new(id, 500_000, 100 * US, Load::busy(100 * US)).slice(2 * MS);
    let mut world = World::new(1, vec![busy(1), busy(2)]);
    world.run_until(1_000 * MS);
    assert!(
        (500..=512).contains(&world.grants),
        "{} grants in 500 slices",
        world.grants
    );
}

#[test]
fn given_always_busy_vms_when_a_minute_has_passed_then_their_shares_are_off_by_less_than_a_thousandth()
 {
    for shares in [
        &[750_000, 250_000][..],
        &[500_000, 300_000, 200_000],
        &[400_000, 300_000, 200_000, 100_000],
    ] {
        for units in [
            [MS; 4],
            [200 * US, 1_500 * US, 8 * MS, 50 * MS],
            [500 * US, 500 * US, 200 * MS, 500 * US],
        ] {
            let guests = shares
                .iter()
                .zip(units)
                .enumerate()
                // Units up to a hundred times the slice.
                .map(|(id, (&parts, unit))| {
                    Guest::new(id as u32, parts, unit, Load::busy(unit)).slice(2 * MS)
                })
                .collect();
            let mut world = World::new(1, guests);
            let minute = 60_000 * MS;
            world.run_until(minute);
            for (client, &parts) in world.clients.iter().zip(shares) {
                let due = minute / 1_000_000 * u64::from(parts);
                let off = client.work_in(0, minute).abs_diff(due);
                // A unit that runs at the end counts for neither side; it is what remains of the error.
                assert!(
                    off <= due / 1_000 + world.longest_unit(),
                    "{shares:?} {units:?}: {} is off by {off}",
                    client.guest.id.0
                );
            }
        }
    }
}

/// Compares the lag of every VM with the bounds `(behind, ahead)` that a policy states for a VM with `parts` of the engine
/// and requests of up to `request` ns, at the times from 1 to 300 ms.
fn check_lag(policy: Policy, bounds: impl Fn(&World, u64, u64) -> (u64, u64)) {
    for seed in 1..=32 {
        let mut random = Random::new(seed ^ 0x1a6);
        let guests: Vec<Guest> = adversarial(seed, Units::Whole)
            .into_iter()
            .map(|guest| guest.slice(random.within(0, 3) * 5 * MS))
            .collect();
        let mut world = World::under(policy, seed, guests);
        for tick in 1..300 {
            world.run_until(tick * MS);
            for index in 0..world.clients.len() {
                let profile = world.clients[index].guest.profile;
                let request = profile.slice.0.max(world.clients[index].guest.unit);
                let parts = u64::from(profile.guarantee.get());
                let lag = world.lag(index);
                let (behind, ahead) = bounds(&world, request, parts);
                assert!(
                    lag <= behind as i64 + 2,
                    "{policy:?}, seed {seed}, {tick} ms: VM {index} is {lag} ns behind"
                );
                assert!(
                    -lag <= ahead as i64 + 2,
                    "{policy:?}, seed {seed}, {tick} ms: VM {index} is {} ns ahead",
                    -lag
                );
            }
        }
    }
}

#[test]
fn given_any_load_then_no_vm_is_ahead_or_behind_by_more_than_the_header_says() {
    let part = |length: u64, parts| (u128::from(length) * u128::from(parts) / 1_000_000) as u64;
    check_lag(Policy::Guaranteed, |world, request, parts| {
        let requests = world
            .clients
            .iter()
            .map(|client| client.guest.profile.slice.0.max(client.guest.unit));
        let behind = request + part(requests.max().unwrap_or(0), parts);
        (behind, request - part(request, parts))
    });
    check_lag(Policy::Fair, |world, request, _| {
        (request + world.longest_unit(), request)
    });
}

#[test]
fn given_one_busy_vm_of_four_then_it_gets_the_whole_engine() {
    for policy in POLICIES
        .into_iter()
        .filter(|&policy| policy != Policy::Fixed)
    {
        let mut guests = vec![Guest::new(0, 250_000, MS, Load::busy(MS))];
        guests.extend((1..4).map(|id| Guest::new(id, 250_000, MS, Load::List(Vec::new()))));
        let mut world = World::under(policy, 1, guests);
        world.run_until(1_000 * MS);
        assert_eq!(world.scheduler.busy(ENGINE).unwrap().0, 1_000 * MS);
        assert_eq!(world.clients[0].work_in(0, 1_000 * MS), 1_000 * MS);
    }
}

#[test]
fn given_a_vm_that_borrowed_the_engine_for_a_second_when_the_owner_wakes_then_it_waits_one_unit_and_no_more()
 {
    let borrower = Guest::new(0, 100_000, MS, Load::busy(MS)).slice(20 * MS);
    let owner =
        Guest::new(1, 900_000, MS, Load::List(vec![(1_000 * MS + 1, 100 * MS)])).slice(20 * MS);
    let mut world = World::new(1, vec![borrower, owner]);
    world.run_until(1_200 * MS);
    let owner = &world.clients[1];
    assert_eq!(owner.ran[0].0, 1_001 * MS);
    assert!(owner.completions[0].end <= 1_000 * MS + 112 * MS + 22 * MS);
    // And the loan is not held against the borrower: it still has its tenth while the owner works.
    let lent = world.clients[0].work_in(1_001 * MS, owner.completions[0].end);
    assert!(lent >= 5 * MS, "the borrower got {lent} ns");
}

#[test]
fn given_time_that_nobody_reserved_then_it_is_lent_by_share_and_best_effort_counts_as_one_percent()
{
    let guests = vec![
        Guest::new(0, 300_000, 500 * US, Load::busy(500 * US)),
        Guest::new(1, 200_000, 500 * US, Load::busy(500 * US)),
        Guest::new(2, 0, 500 * US, Load::busy(500 * US)),
        Guest::new(3, 0, 500 * US, Load::busy(500 * US)),
    ];
    let mut world = World::new(1, guests);
    let end = 20_000 * MS;
    world.run_until(end);
    let got: Vec<u64> = (0..4)
        .map(|index| world.clients[index].work_in(0, end))
        .collect();
    // 30 : 20 : 1 : 1.
    for (work, part) in got.iter().zip([30, 20, 1, 1]) {
        let due = end / 52 * part;
        assert!(work.abs_diff(due) <= due / 100 + 2 * MS, "{got:?}");
    }
}

#[test]
fn given_guarantees_that_fill_the_engine_when_all_are_busy_then_best_effort_gets_nothing_and_delays_nobody()
 {
    let mut guests = adversarial(11, Units::Whole);
    let whole: u32 = guests
        .iter()
        .map(|guest| guest.profile.guarantee.get())
        .sum();
    for guest in &mut guests {
        guest.load = Load::busy(guest.unit);
    }
    guests[0].profile.guarantee =
        crate::world::ppm(guests[0].profile.guarantee.get() + 1_000_000 - whole);
    let count = guests.len();
    guests.push(Guest::new(99, 0, MS, Load::busy(MS)));
    let mut world = World::new(11, guests);
    world.run_until(10_000 * MS);
    // At the very start everyone is ahead after one unit each, a moment that best effort may use.
    assert!(world.clients[count].work_in(100 * MS, 10_000 * MS) <= 100 * MS);
}

#[test]
fn given_only_best_effort_vms_then_they_share_the_engine_equally() {
    let guests = (0..5)
        .map(|id| {
            Guest::new(
                id,
                0,
                (u64::from(id) + 1) * MS,
                Load::busy((u64::from(id) + 1) * MS),
            )
        })
        .collect();
    let mut world = World::new(1, guests);
    world.run_until(10_000 * MS);
    for client in &world.clients {
        let work = client.work_in(0, 10_000 * MS);
        assert!(work.abs_diff(2_000 * MS) <= 10 * MS, "{work}");
    }
}

#[test]
fn given_a_limit_then_no_window_exceeds_it_by_more_than_one_stretch() {
    for (seed, policy) in (1..=60).map(|seed| (seed, POLICIES[seed as usize % 4])) {
        let mut random = Random::new(seed);
        let unit = random.within(50 * US, 5 * MS);
        let slice = random.within(0, 10) * MS;
        let limit = random.within(50_000, 1_000_000) as u32;
        let pause = random.within(0, 3) * MS;
        let load = Load::Closed {
            length: (1, 3 * unit),
            pause: (0, pause),
        };
        let capped = Guest::new(0, 50_000, unit, load).slice(slice).limit(limit);
        let mut guests = vec![capped];
        if random.one_in(2) {
            guests.push(Guest::new(
                1,
                400_000,
                MS,
                Load::Closed {
                    length: (MS, MS),
                    pause: (0, 9 * MS),
                },
            ));
        }
        let mut world = World::under(policy, seed, guests);
        world.run_until(500 * MS);
        let client = &world.clients[0];
        // A slot of the table is a stretch too: 5 % of 16 ms.
        let slot = if policy == Policy::Fixed { 800 * US } else { 0 };
        let stretch = u128::from(slice.max(unit).max(slot));
        assert!(client.ran.len() > 5, "{policy:?}, seed {seed}");
        for (n, &(start, _)) in client.ran.iter().enumerate() {
            let mut work = 0;
            for &(begin, end) in &client.ran[n..] {
                work += u128::from(end - begin);
                let allowed = u128::from(end - start) * u128::from(limit) / 1_000_000 + stretch;
                assert!(
                    work <= allowed + 1,
                    "{policy:?}, seed {seed}: {work} ns from {start} to {end}, allowed {allowed}"
                );
            }
        }
    }
}

#[test]
fn given_a_limit_and_an_idle_engine_then_the_vm_gets_its_limit_and_is_called_throttled_meanwhile() {
    let capped = Guest::new(0, 100_000, MS, Load::busy(MS))
        .slice(4 * MS)
        .limit(400_000);
    let mut world = World::new(1, vec![capped]);
    world.run_until(1_000 * MS);
    let work = world.clients[0].work_in(0, 1_000 * MS);
    assert!(work.abs_diff(400 * MS) <= 4 * MS, "{work}");
    // A slice at a time, once the first requests have grown to it.
    assert!(world.grants <= 105, "{} grants for 400 ms", world.grants);
    let mut throttled = false;
    for at in 1_000..1_010 {
        world.run_until(at * MS);
        throttled |= world
            .scheduler
            .account(world.clients[0].guest.id)
            .unwrap()
            .state
            == VmState::Throttled;
    }
    assert!(throttled);
}

#[test]
fn given_units_of_a_few_nanoseconds_and_shares_that_do_not_divide_then_not_one_unit_is_lost() {
    let busy = |id, parts| Guest::new(id, parts, 3, Load::busy(3));
    let mut world = World::new(1, vec![busy(1, 700_000), busy(2, 300_000)]);
    world.run_until(300_000);
    let work = world.clients[0].work_in(0, 300_000);
    assert!(work.abs_diff(210_000) <= 6, "{work}");
}

#[test]
fn given_a_best_effort_vm_that_had_the_engine_for_a_second_when_another_wakes_then_they_share_from_then_on()
 {
    for policy in POLICIES
        .into_iter()
        .filter(|&policy| policy != Policy::Fixed)
    {
        let early = Guest::new(0, 0, MS, Load::busy(MS));
        let late = Guest::new(1, 0, MS, Load::List(vec![(1_000 * MS, 1_000 * MS)]));
        let mut world = World::under(policy, 1, vec![early, late]);
        world.run_until(1_200 * MS);
        let work = world.clients[1].work_in(1_000 * MS, 1_200 * MS);
        assert!(work.abs_diff(100 * MS) <= 3 * MS, "{work}");
    }
}

#[test]
fn given_a_best_effort_vm_that_got_nothing_for_five_seconds_then_it_has_not_saved_up_a_claim() {
    // Two owners fill the engine for five seconds; one best-effort VM waits all the time, the other comes when they end.
    let owner = |id| Guest::new(id, 500_000, MS, Load::List(vec![(0, 2_500 * MS)]));
    let waiting = Guest::new(2, 0, MS, Load::busy(MS));
    let fresh = Guest::new(3, 0, MS, Load::List(vec![(5_001 * MS, 1_000 * MS)]));
    let mut world = World::new(1, vec![owner(0), owner(1), waiting, fresh]);
    world.run_until(5_201 * MS);
    let work = world.clients[3].work_in(5_001 * MS, 5_201 * MS);
    assert!(work.abs_diff(100 * MS) <= 6 * MS, "{work}");
}

#[test]
fn given_two_busy_vms_at_75_and_25_then_they_do_not_cut_each_others_slices_to_pieces() {
    let guests = [(1, 750_000), (2, 250_000)]
        .map(|(id, share)| Guest::new(id, share, 25 * US, Load::busy(25 * US)).slice(2 * MS));
    let mut world = World::new(7, guests.to_vec());
    world.run_until(8_000 * MS);
    // A thousand rounds of 6 + 2 ms.
    assert!(
        (2_000..=2_020).contains(&world.grants),
        "{} grants in 1000 rounds",
        world.grants
    );
}
