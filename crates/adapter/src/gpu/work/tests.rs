// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random use of the queues against a model that is a list of commands.

use proptest::prelude::*;
use rondo_renderer::geometry::Rect;

use super::*;
use crate::handle::AllocationHandle;

const CONTEXTS: u64 = 3;
const QUEUES: u64 = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(u64),
    RunUnit { done: bool },
    Suspend(u64),
    Resume(u64),
    RemoveQueue(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..QUEUES).prop_map(Step::Submit),
        6 => any::<bool>().prop_map(|done| Step::RunUnit { done }),
        1 => (0..CONTEXTS).prop_map(Step::Suspend),
        1 => (0..CONTEXTS).prop_map(Step::Resume),
        1 => (0..QUEUES).prop_map(Step::RemoveQueue),
    ]
}

const fn context_of(queue: u64) -> u64 {
    queue % CONTEXTS
}

fn command() -> GpuCommand {
    GpuCommand::Present {
        allocation: AllocationHandle(1),
        rect: Rect::default(),
    }
}

/// A unit that uses up its context's quantum.
const UNIT: Nanos = Nanos::from_millis(2);

fn all() -> WorkQueues<u32> {
    let mut work = WorkQueues::new(BandSettings::default());
    let process = KmdProcessHandle(100);
    let no_grace = ContextProperties {
        grace_same: Nanos(0),
        quantum: UNIT,
        ..ContextProperties::default()
    };
    assert_eq!(work.add_process(process), Ok(()));
    for context in (0..CONTEXTS).map(ContextHandle) {
        assert_eq!(work.add_context(process, context), Ok(()));
        assert_eq!(work.set_properties(context, no_grace), Ok(()));
    }
    for queue in 0..QUEUES {
        work.add_queue(ContextHandle(context_of(queue)), HwQueueHandle(queue));
    }
    work
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_queue_is_first_in_first_out_and_nothing_is_lost(steps in proptest::collection::vec(step(), 0..120)) {
        let mut work = all();
        let mut model: HashMap<u64, VecDeque<u64>> = (0..QUEUES).map(|queue| (queue, VecDeque::new())).collect();
        let mut units: HashMap<u64, u32> = HashMap::new();
        let mut suspended = [false; CONTEXTS as usize];
        for (fence, step) in (1..).zip(steps) {
            match step {
                Step::Submit(queue) => {
                    let allowed = work.check_submit(HwQueueHandle(queue), fence);
                    prop_assert_eq!(allowed.is_ok(), model.contains_key(&queue));
                    if let Some(jobs) = model.get_mut(&queue) {
                        work.submit(HwQueueHandle(queue), fence, command());
                        jobs.push_back(fence);
                    }
                }
                Step::RunUnit { done } => {
                    let foretold = work.next().map(|(queue, job)| (queue, job.fence));
                    let next = work.begin_unit().map(|(queue, job)| (queue, job.fence));
                    prop_assert_eq!(next, foretold);
                    let runnable = model.iter().any(|(&queue, jobs)| {
                        !jobs.is_empty() && !suspended[context_of(queue) as usize]
                    });
                    prop_assert_eq!(next.is_some(), runnable);
                    let Some((queue, first)) = next else { continue };
                    let started = work.take_started(queue);
                    prop_assert_eq!(started, units.remove(&first));
                    prop_assert!(!suspended[context_of(queue.0) as usize]);
                    prop_assert_eq!(model.get(&queue.0).and_then(VecDeque::front), Some(&first));
                    work.unit_done(UNIT);
                    if done {
                        prop_assert_eq!(work.complete(queue), Some(first));
                        model.get_mut(&queue.0).and_then(VecDeque::pop_front);
                    } else {
                        let run = started.map_or(1, |units| units + 1);
                        work.put_back(queue, run);
                        units.insert(first, run);
                    }
                }
                Step::Suspend(context) => {
                    let was = std::mem::replace(&mut suspended[context as usize], true);
                    prop_assert_eq!(work.suspend(ContextHandle(context), fence), Ok(!was));
                }
                Step::Resume(context) => {
                    suspended[context as usize] = false;
                    prop_assert_eq!(work.resume(ContextHandle(context)), Ok(()));
                }
                Step::RemoveQueue(queue) => {
                    let abandoned = model.remove(&queue).map_or(0, |jobs| jobs.len());
                    prop_assert_eq!(work.remove_queue(HwQueueHandle(queue)), abandoned);
                }
            }
            let left: usize = model.values().map(VecDeque::len).sum();
            prop_assert_eq!(work.pending, left);
        }
        let mut drained: HashMap<u64, VecDeque<u64>> = HashMap::new();
        for (queue, fence) in work.drain(|_| true) {
            drained.entry(queue.0).or_default().push_back(fence);
        }
        model.retain(|_, jobs| !jobs.is_empty());
        prop_assert_eq!(drained, model);
        prop_assert!(!work.has_runnable());
    }
}

#[test]
fn contexts_with_work_take_turns_whatever_their_number_of_queues() {
    let mut work = all();
    // Two queues of context 0, one of context 1.
    for (fence, queue) in [0, 3, 1].into_iter().enumerate() {
        work.submit(HwQueueHandle(queue), fence as u64 + 1, command());
    }
    let mut served = Vec::new();
    for _ in 0..6 {
        let queue = work.begin_unit().map(|(queue, _)| queue);
        let queue = queue.expect("there is work");
        served.push(queue.0);
        work.unit_done(UNIT);
        work.put_back(queue, 1);
    }
    assert_eq!(served, [0, 1, 3, 1, 0, 1]);
}

#[test]
fn a_full_vm_is_refused_before_anything_changes() {
    let mut work = all();
    let queue = HwQueueHandle(0);
    for fence in 0..MAX_PENDING_COMMANDS as u64 {
        assert_eq!(work.check_submit(queue, fence), Ok(()));
        work.submit(queue, fence, command());
    }
    let next = MAX_PENDING_COMMANDS as u64;
    assert_eq!(
        work.check_submit(queue, next),
        Err(NtStatus::InsufficientResources)
    );
    assert_eq!(work.complete(queue), Some(0));
    assert_eq!(work.check_submit(queue, next), Ok(()));
}
