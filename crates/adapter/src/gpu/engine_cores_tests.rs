// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Which cores engines have, and who is sent there.

use std::sync::mpsc;
use std::thread;

use rondo_scheduler::{EngineId, Nanos};

use super::engine_cores::{Berth, EngineCores};
use crate::host_thread::{self, Core};

const STAY: u64 = 1 << 28;

fn cores(numbers: &[u16]) -> Vec<Core> {
    numbers.iter().copied().map(Core).collect()
}

#[test]
fn given_two_cores_for_each_engine_then_each_has_two_of_its_own_from_the_last_and_stays_a_quarter_of_a_second()
 {
    let engines = EngineCores::of(&cores(&[1, 2, 5, 6, 9]), 2);
    for (engine, first, second) in [(0, 9, 6), (1, 5, 2)] {
        let at = |nanos| engines.at(EngineId(engine), Nanos(nanos));
        assert_eq!(at(0), Some(Core(first)));
        assert_eq!(at(STAY - 1), Some(Core(first)));
        assert_eq!(at(STAY), Some(Core(second)));
        assert_eq!(at(2 * STAY - 1), Some(Core(second)));
        assert_eq!(at(2 * STAY), Some(Core(first)));
    }
    assert_eq!(engines.at(EngineId(2), Nanos(0)), None);
}

#[test]
fn given_fewer_than_two_cores_for_each_engine_then_no_engine_has_any() {
    for (allowed, engines) in [(&[][..], 1), (&[0][..], 1), (&[0, 1, 2][..], 2)] {
        let engines = EngineCores::of(&cores(allowed), engines);
        assert_eq!(engines.at(EngineId(0), Nanos(0)), None, "{allowed:?}");
    }
}

#[test]
fn given_the_process_s_own_cores_then_engines_have_none_but_those() {
    let allowed = host_thread::allowed().unwrap();
    let engines = EngineCores::new(1);
    let at = [0, STAY].map(|now| engines.at(EngineId(0), Nanos(now)));
    match allowed.as_slice() {
        [] | [_] => assert_eq!(at, [None, None]),
        [.., low, high] => assert_eq!(at, [Some(*high), Some(*low)]),
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
    assert_eq!(after(&berth, true, || berth.send_to(Some(last))), [last]);
    assert_eq!(after(&berth, true, || berth.send_to(None)), allowed);
    assert_eq!(after(&berth, false, || berth.send_to(Some(last))), allowed);
    // Nobody is in it: nobody is sent, this thread included.
    berth.send_to(Some(last));
    assert_eq!(host_thread::allowed().unwrap(), allowed);
}

#[test]
fn given_a_core_that_linux_refuses_when_a_worker_is_sent_there_then_it_stays_where_it_is_for_good()
{
    let allowed = host_thread::allowed().unwrap();
    let berth = Berth::default();
    let refused = after(&berth, true, || {
        berth.send_to(Some(Core(8191)));
        berth.send_to(allowed.first().copied());
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
        berth.send_to(Some(last));
        let next = after(&berth, true, || berth.send_to(Some(last)));
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
            berth.send_to(Some(last));
        });
        assert_eq!(next, [last]);
    });
}
