// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who may ask for the engine before the holder's request has ended: who wakes with a better claim, whoever else waits.

use rondo_scheduler::Nanos;

use crate::world::{Guest, Load, MS, US, World};

fn busy(id: u32, parts: u32, unit: u64) -> Guest {
    Guest::new(id, parts, unit, Load::busy(unit))
}

#[test]
fn given_a_better_claim_that_waits_for_a_slice_to_end_when_a_vm_wakes_behind_it_then_it_waits_for_no_slice()
 {
    // 1 has a claim that is better than the holder's and waits for the end of the slice, as VMs that never slept do. 2 wakes
    // with a claim between the two: the slice of 0 ends with its unit.
    let slice = 20 * MS;
    let guests = vec![
        busy(0, 100_000, 100 * US).slice(slice),
        // Each unit is a request: its finish tag is never far.
        busy(1, 500_000, 100 * US),
    ];
    let mut found = 0;
    for at in (300..600).step_by(7) {
        let mut list = guests.clone();
        let job = Load::List(vec![(at * MS, 100 * US)]);
        list.push(Guest::new(2, 300_000, 100 * US, job));
        let mut world = World::new(at, list);
        world.run_until(at * MS - 1);
        let waits = world.lag(1) > 0;
        let (from, to) = (at * MS, at * MS + 200 * US);
        world.run_until(at * MS + 50 * MS);
        // Where 0 holds the engine and 1 is due: 0 is not served on, but for the unit that runs.
        let before = world.clients[0].work_in(from - 300 * US, from) == 300 * US;
        if before && waits {
            found += 1;
            let goes_on = world.clients[0].work_in(from + 100 * US, to);
            assert_eq!(goes_on, 0, "woken at {at} ms");
        }
    }
    assert!(found > 3, "{found} of the wakes come at such a moment");
}

#[test]
fn given_a_vm_in_debt_when_it_wakes_then_it_asks_as_soon_as_it_has_paid_and_not_before() {
    // 1 overran by 5 ms of its half and is due again at 10 ms; its next job comes at 7 ms.
    let mut liar = Guest::new(
        1,
        500_000,
        5 * MS,
        Load::List(vec![(0, 5 * MS), (7 * MS, 100 * US)]),
    );
    liar.profile.max_unit = Some(Nanos(100 * US));
    let hog = busy(2, 500_000, 100 * US).slice(50 * MS);
    let mut world = World::new(1, vec![liar, hog]);
    world.run_until(60 * MS);
    let (start, _) = world.clients[0].ran[1];
    assert!(
        (10 * MS - 200 * US..=10 * MS + 200 * US).contains(&start),
        "the second job started at {start}"
    );
}

#[test]
fn given_vms_that_are_always_busy_then_nobody_cuts_anothers_slice() {
    let guests = (0..4)
        .map(|id| busy(id, 250_000, 100 * US).slice(10 * MS))
        .collect();
    let mut world = World::new(1, guests);
    world.run_until(1_000 * MS);
    // One change of hands for each slice, and some more while the requests grow.
    assert!(world.grants <= 100 + 40, "{} grants", world.grants);
}
