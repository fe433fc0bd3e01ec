// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Which cores engines have, and who is sent there.

use std::sync::mpsc;
use std::thread;

use rondo_scheduler::{EngineId, Nanos};

use super::engine_cores::{Berth, EngineCores, Place};
use crate::host_thread::{self, Core};

const GRANT: u64 = 1 << 25;
const STAY: u64 = 1 << 28;

fn cores(numbers: &[u16]) -> Vec<Core> {
    numbers.iter().copied().map(Core).collect()
}

fn only(core: u16) -> Option<Place> {
    Some(Place::Only(Core(core)))
}

#[test]
fn given_two_cores_for_each_engine_then_each_has_two_of_its_own_from_the_last_and_changes_from_one_to_the_other()
 {
    let engines = EngineCores::of(&cores(&[1, 2, 5, 6, 9]), 2);
    for (engine, first, second) in [(0, 9, 6), (1, 5, 2)] {
        let at = |nanos| engines.at(EngineId(engine), Nanos(nanos));
        for (nanos, core) in [
            (0, first),
            (GRANT - 1, first),
            (GRANT, second),
            (2 * GRANT, first),
            // Whoever goes on alone changes each time.
            (STAY, second),
            (2 * STAY, first),
            (3 * STAY, second),
        ] {
            assert_eq!(at(nanos), only(core), "at {nanos}");
        }
    }
    assert_eq!(engines.at(EngineId(2), Nanos(0)), None);
}

#[test]
fn given_a_worker_that_goes_on_then_it_moves_each_quarter_of_a_second_and_not_with_each_grant() {
    let moves = |before, now| EngineCores::must_move(Nanos(before), Nanos(now));
    assert!(!moves(0, STAY - 1) && moves(STAY - 1, STAY) && !moves(STAY, 2 * STAY - 1));
}

#[test]
fn given_fewer_than_two_cores_for_each_engine_then_no_engine_has_any() {
    for (allowed, engines) in [(&[][..], 1), (&[0][..], 1), (&[0, 1, 2][..], 2)] {
        let engines = EngineCores::of(&cores(allowed), engines);
        assert_eq!(engines.at(EngineId(0), Nanos(0)), None, "{allowed:?}");
    }
}

#[test]
fn given_a_worker_that_was_late_then_its_engine_alone_runs_anywhere_and_longer_each_time() {
    const MS: u64 = 1_000_000;
    let engines = EngineCores::of(&cores(&[0, 1, 2, 3]), 2);
    let (one, other) = (EngineId(0), EngineId(1));
    engines.begun(one, Nanos(5 * MS), Nanos(6 * MS - 1));
    assert_ne!(engines.at(one, Nanos(6 * MS)), Some(Place::Any));
    let mut now = 6 * MS;
    for seconds in [1, 2, 4] {
        engines.begun(one, Nanos(now - MS), Nanos(now));
        let until = now + seconds * 1000 * MS;
        assert_eq!(engines.at(one, Nanos(now)), Some(Place::Any));
        assert_ne!(engines.at(other, Nanos(now)), Some(Place::Any));
        // No core is to blame now.
        engines.begun(one, Nanos(now + MS), Nanos(now + 90 * MS));
        assert_eq!(engines.at(one, Nanos(until - 1)), Some(Place::Any));
        assert_ne!(engines.at(one, Nanos(until)), Some(Place::Any));
        now = until + MS;
    }
    // Late for the hundredth time: for more than an hour, and no more.
    for _ in 0..97 {
        engines.begun(one, Nanos(now - MS), Nanos(now));
        now += 4096 * 1000 * MS;
        assert_ne!(engines.at(one, Nanos(now)), Some(Place::Any));
        now += MS;
    }
}

#[test]
fn given_the_process_s_own_cores_then_engines_have_none_but_those() {
    let allowed = host_thread::allowed().unwrap();
    let engines = EngineCores::new(1);
    let at = [0, GRANT].map(|now| engines.at(EngineId(0), Nanos(now)));
    match allowed.as_slice() {
        [] | [_] => assert_eq!(at, [None, None]),
        [.., low, high] => assert_eq!(at, [only(high.0), only(low.0)]),
    }
}

/// Runs until it is told to end, in a berth or not; then tells on which cores it may run.
fn worker(
    berth: &Berth,
    takes: bool,
    started: mpsc::Sender<()>,
    end: mpsc::Receiver<()>,
) -> Vec<Core> {
    let _taken = takes.then(|| berth.take());
    started.send(()).unwrap();
    let _ = end.recv();
    host_thread::allowed().unwrap()
}

/// What a worker may run on after `deed` while it sleeps.
fn after(berth: &Berth, takes: bool, deed: impl FnOnce()) -> Vec<Core> {
    let (started, starts) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    thread::scope(|scope| {
        let worker = scope.spawn(|| worker(berth, takes, started, ends));
        starts.recv().unwrap();
        deed();
        drop(end);
        worker.join().unwrap()
    })
}

#[test]
fn given_a_worker_in_its_berth_when_it_is_sent_to_a_core_then_it_alone_runs_there_alone() {
    let allowed = host_thread::allowed().unwrap();
    let last = *allowed.last().unwrap();
    let berth = Berth::default();
    assert_eq!(
        after(&berth, true, || berth.send_to(Some(Place::Only(last)))),
        [last]
    );
    assert_eq!(after(&berth, true, || berth.send_to(None)), allowed);
    let there_and_back = after(&berth, true, || {
        berth.send_to(Some(Place::Only(last)));
        berth.send_to(Some(Place::Any));
    });
    assert_eq!(there_and_back, allowed);
    assert_eq!(
        after(&berth, false, || berth.send_to(Some(Place::Only(last)))),
        allowed
    );
    // Nobody is in it: nobody is sent, this thread included.
    berth.send_to(Some(Place::Only(last)));
    assert_eq!(host_thread::allowed().unwrap(), allowed);
}

#[test]
fn given_a_core_that_linux_refuses_when_a_worker_is_sent_there_then_it_stays_where_it_is_for_good()
{
    let allowed = host_thread::allowed().unwrap();
    let last = *allowed.last().unwrap();
    let berth = Berth::default();
    let refused = after(&berth, true, || {
        berth.send_to(only(8191));
        berth.send_to(Some(Place::Only(last)));
    });
    assert_eq!(refused, allowed);
}

#[test]
fn given_a_worker_lost_in_a_unit_when_another_one_takes_its_berth_then_the_lost_one_is_free_and_stays_it()
 {
    let allowed = host_thread::allowed().unwrap();
    let last = *allowed.last().unwrap();
    let berth = Berth::default();
    let lost = after(&berth, true, || {
        berth.send_to(Some(Place::Only(last)));
        let next = after(&berth, true, || berth.send_to(Some(Place::Only(last))));
        assert_eq!(next, [last]);
    });
    assert_eq!(lost, allowed);
    // The lost one ends while another one is in the berth.
    let (started, starts) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    thread::scope(|scope| {
        let lost = scope.spawn(|| worker(&berth, true, started, ends));
        starts.recv().unwrap();
        let next = after(&berth, true, || {
            drop(end);
            lost.join().unwrap();
            berth.send_to(Some(Place::Only(last)));
        });
        assert_eq!(next, [last]);
    });
}
