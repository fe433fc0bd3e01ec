// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Commands that pass earlier ones must not find less memory than in the order in which they were sent.

use rondo_adapter::ddi::{Completion, Ddi};
use rondo_protocol::*;

use super::support::{BACKINGS, Rig, RigConfig, Sent};

const EDGE: u32 = 256;
const IMAGE: u64 = (EDGE * EDGE * 4) as u64;

fn res(id: u32) -> ResourceId {
    ResourceId::new(id).unwrap()
}

fn create(id: u32) -> Request<'static> {
    Request::new(Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(id),
        format: Format::B8G8R8X8,
        width: EDGE,
        height: EDGE,
    }))
}

fn unref(id: u32) -> Request<'static> {
    Request::new(Command::ResourceUnref { resource: res(id) })
}

/// A machine whose memory holds one image and not two, and whose GPU is held back with work on resource 1.
fn full() -> (Rig, Sent) {
    let mut rig = Rig::new(RigConfig {
        memory_limit: IMAGE + IMAGE / 2,
        ..RigConfig::default()
    });
    rig.ok(&create(1));
    let entries = [RawMemEntry::new(BACKINGS, IMAGE as u32)];
    rig.ok(&Request::new(Command::ResourceAttachBacking(
        ResourceAttachBacking {
            resource: res(1),
            entries: MemEntries::new(&entries),
        },
    )));
    rig.ddi.suspend_context(rig.display_context(), 1).unwrap();
    let work = rig.queue(&Request::new(Command::TransferToHost2d(TransferToHost2d {
        resource: res(1),
        rect: Rect::new(0, 0, EDGE, EDGE),
        offset: 0,
    })));
    rig.kick();
    (rig, work)
}

#[test]
fn given_an_unref_that_waits_for_work_then_a_create_behind_it_gets_the_memory_that_it_frees() {
    let (mut rig, work) = full();
    let unref = rig.queue(&unref(1));
    let create = rig.queue(&create(2).fenced(5));
    rig.kick();
    assert_eq!(rig.control.pop_used(), [], "all wait for the work");
    // Who asks for nothing does not wait.
    assert!(
        rig.send(&Request::new(Command::GetDisplayInfo))
            .response()
            .is_ok()
    );
    rig.ddi.resume_context(rig.display_context()).unwrap();
    let used = rig.wait(3);
    for (sent, (head, len)) in [&work, &unref, &create].into_iter().zip(used) {
        assert_eq!(sent.head, head);
        assert_eq!(rig.answer(sent, len).response(), Response::OkNoData);
    }
}

#[test]
fn given_nothing_that_frees_memory_then_a_create_that_does_not_fit_is_refused_at_once() {
    let (mut rig, _work) = full();
    let refused = Response::Err(ErrorCode::OutOfMemory);
    assert_eq!(rig.send(&create(2)).response(), refused);
}

#[test]
fn given_a_create_that_does_not_fit_even_then_it_is_refused_once_the_memory_is_free() {
    let (mut rig, _work) = full();
    rig.queue(&unref(1));
    let first = rig.queue(&create(2));
    let second = rig.queue(&create(3));
    rig.kick();
    rig.ddi.resume_context(rig.display_context()).unwrap();
    let used = rig.wait(4);
    let answer = |sent: &Sent| {
        let (_, len) = used.iter().find(|(head, _)| *head == sent.head).unwrap();
        rig.answer(sent, *len)
    };
    assert_eq!(answer(&first).response(), Response::OkNoData);
    let refused = Response::Err(ErrorCode::OutOfMemory);
    assert_eq!(answer(&second).response(), refused);
}

#[test]
fn given_a_create_that_waited_for_its_id_then_it_waits_for_memory_too() {
    let (mut rig, _work) = full();
    let small = Request::new(Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(2),
        format: Format::B8G8R8X8,
        width: 4,
        height: 4,
    }));
    rig.ok(&small);
    let flush = rig.queue(&Request::new(Command::ResourceFlush(ResourceFlush {
        resource: res(2),
        rect: Rect::new(0, 0, 4, 4),
    })));
    let large_goes = rig.queue(&unref(1));
    let small_goes = rig.queue(&unref(2));
    let large_comes = rig.queue(&create(2));
    rig.kick();
    // The second piece of work ends first: the id is free before the memory is.
    let tell = |rig: &Rig, fence| {
        rig.gpu.callbacks().notify_interrupt(&[Completion {
            queue: rig.hw_queue(),
            progress_fence_id: fence,
            status: Ok(()),
        }]);
        rig.run_event_loop();
    };
    let heads = |rig: &mut Rig| -> Vec<u16> {
        let used = rig.control.pop_used();
        used.iter().map(|(head, _)| *head).collect()
    };
    tell(&rig, 2);
    assert_eq!(heads(&mut rig), [flush.head, small_goes.head]);
    tell(&rig, 1);
    let used = rig.control.pop_used();
    assert_eq!(used.len(), 3);
    assert_eq!((used[1].0, used[2].0), (large_goes.head, large_comes.head));
    let answer = rig.answer(&large_comes, used[2].1);
    assert_eq!(answer.response(), Response::OkNoData);
}
