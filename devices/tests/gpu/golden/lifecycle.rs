// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! DRIVER_OK and reset.

use super::*;

#[test]
fn driver_ok_makes_a_display_process_with_context_and_queue() {
    let mut rig = Rig::powered_on(RigConfig::default());
    rig.ddi.take_records();
    rig.probe();
    let records = rig.ddi.take_records();
    let calls: Vec<Verb> = records.iter().map(|record| record.call.verb()).collect();
    assert_eq!(
        calls,
        [
            Verb::CreateProcess,
            Verb::CreateDevice,
            Verb::CreateContext,
            Verb::SetContextSchedulingProperties,
            Verb::CreateHwQueue
        ]
    );
    assert_eq!(
        records[0].call,
        Call::CreateProcess(CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
            worker: Some(rig.worker),
            name: Some("display".to_owned()),
        })
    );
    let Call::SetContextSchedulingProperties(properties) = &records[3].call else {
        panic!("{:?}", records[3]);
    };
    assert_eq!(properties.band, PriorityBand::Normal);
}

#[test]
fn given_a_driver_that_refuses_a_step_then_the_steps_before_are_undone_and_a_reset_is_asked_for() {
    let steps = [
        (Verb::CreateProcess, vec![]),
        (Verb::CreateDevice, vec![Verb::DestroyProcess]),
        (
            Verb::CreateContext,
            vec![Verb::DestroyDevice, Verb::DestroyProcess],
        ),
        (
            Verb::SetContextSchedulingProperties,
            vec![
                Verb::DestroyContext,
                Verb::DestroyDevice,
                Verb::DestroyProcess,
            ],
        ),
        (
            Verb::CreateHwQueue,
            vec![
                Verb::DestroyContext,
                Verb::DestroyDevice,
                Verb::DestroyProcess,
            ],
        ),
    ];
    for (verb, undone) in steps {
        let mut rig = Rig::powered_on(RigConfig::default());
        rig.ddi.take_records();
        rig.ddi.fail_next(verb, NtStatus::NoMemory);
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS) & 64, 64, "{verb:?}");
        let calls: Vec<Verb> = rig
            .ddi
            .take_records()
            .iter()
            .map(|r| r.call.verb())
            .collect();
        let failed = calls.iter().position(|call| *call == verb).unwrap();
        assert_eq!(calls[failed + 1..], undone, "{verb:?}");
        // And a reset makes it whole.
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS), 15);
        rig.ok(&Request::new(create_2d(1)));
    }
}

#[test]
fn reset_destroys_all_but_the_worker() {
    let mut golden = Golden::new();
    golden.send(Command::UpdateCursor(UpdateCursor {
        scanout: scanout(0),
        x: 1,
        y: 2,
        resource: Some(res(2)),
        hot_x: 0,
        hot_y: 0,
    }));
    golden.calls();
    golden.rig.write32(reg::STATUS, 0);
    let mut calls = golden.calls();
    let destroyed: BTreeSet<u64> = calls
        .iter()
        .filter_map(|call| match call {
            Call::DestroyAllocation(process, allocation) if *process == golden.process => {
                Some(allocation.0)
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        destroyed,
        BTreeSet::from([golden.image.0, golden.bare.0, golden.blob.0])
    );
    calls.retain(|call| call.verb() != Verb::DestroyAllocation);
    assert_eq!(
        calls,
        [
            Call::SuspendContext(golden.context, 1),
            Call::DestroyHwQueue(golden.queue),
            Call::SetVidPnSourceVisibility(golden.process, VidPnSourceId(0), false),
            Call::SetPointerShape(SetPointerShape {
                process: golden.process,
                source: VidPnSourceId(0),
                allocation: None,
                hot_x: 0,
                hot_y: 0,
            }),
            Call::DestroyContext(golden.context),
            Call::DestroyDevice(golden.device),
            Call::DestroyProcess(golden.process),
        ]
    );
    golden.rig.write32(reg::STATUS, 0);
    assert_eq!(golden.calls(), [], "a second reset finds nothing to do");
}
