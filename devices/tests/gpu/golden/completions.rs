// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the driver says at the end of work: the response for every status, and completions that mean nothing.

use rondo_adapter::handle::HwQueueHandle;

use super::*;

fn transfer() -> Request<'static> {
    Request::new(Command::TransferToHost2d(TransferToHost2d {
        resource: res(1),
        rect: rect(),
        offset: 0,
    }))
}

/// A machine whose GPU is held back with one fenced transfer on it.
fn held() -> (Golden, support::Sent) {
    let mut golden = Golden::new();
    golden.rig.ddi.suspend_context(golden.context, 1).unwrap();
    let sent = golden.rig.queue(&transfer().fenced(77));
    golden.rig.kick();
    assert_eq!(golden.rig.control.pop_used(), [], "it is held back");
    (golden, sent)
}

fn tell(golden: &Golden, queue: HwQueueHandle, fence: u64, status: Result<(), NtStatus>) {
    golden.rig.gpu.callbacks().notify_interrupt(&[Completion {
        queue,
        progress_fence_id: fence,
        status,
    }]);
}

#[test]
fn work_that_ends_with_a_status_is_answered_by_the_table_and_its_fence_is_echoed() {
    for status in STATUSES {
        let (mut golden, sent) = held();
        tell(&golden, golden.queue, 1, Err(status));
        let used = golden.rig.control.pop_used();
        assert_eq!(used, [(sent.head, 24)]);
        let answer = golden.rig.answer(&sent, used[0].1);
        let (header, response) = answer.decode();
        assert_eq!(header.fence, Some(77));
        let expected = expected_error(status, ErrorCode::InvalidResourceId);
        assert_eq!(response, Response::Err(expected), "{status:?}");
    }
}

#[test]
fn completions_of_another_queue_of_no_command_or_told_twice_change_nothing() {
    let (mut golden, sent) = held();
    tell(&golden, HwQueueHandle(golden.queue.0 + 1000), 1, Ok(()));
    tell(&golden, golden.queue, 0, Ok(()));
    tell(&golden, golden.queue, 2, Ok(()));
    assert_eq!(golden.rig.control.pop_used(), []);
    tell(&golden, golden.queue, 1, Ok(()));
    tell(&golden, golden.queue, 1, Ok(()));
    assert_eq!(golden.rig.control.pop_used(), [(sent.head, 24)]);
}

#[test]
fn what_waited_is_started_by_the_event_loop_and_not_by_whoever_tells_the_completion() {
    let (mut golden, sent) = held();
    let unref = golden
        .rig
        .queue(&Request::new(Command::ResourceUnref { resource: res(1) }));
    golden.rig.kick();
    let calls = golden.rig.ddi.calls_made();
    tell(&golden, golden.queue, 1, Ok(()));
    assert_eq!(golden.rig.control.pop_used(), [(sent.head, 24)]);
    assert_eq!(golden.rig.ddi.calls_made(), calls, "a driver call");
    golden.rig.run_event_loop();
    assert_eq!(golden.rig.control.pop_used(), [(unref.head, 24)]);
}

#[test]
fn a_completion_of_before_a_reset_means_nothing_after_it() {
    let (mut golden, _) = held();
    let old = golden.queue;
    golden.rig.probe();
    let _ = golden.rig.line.read();
    tell(&golden, old, 1, Ok(()));
    assert_eq!(golden.rig.control.pop_used(), []);
    assert!(golden.rig.line.read().is_err(), "no interrupt");
    golden.rig.ok(&Request::new(create_2d(1)));
}
