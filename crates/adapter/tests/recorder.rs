// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The recorder writes down what was called and answered, and fails what it is told to fail.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use rondo_adapter::ddi::*;
use rondo_adapter::recorder::{Answer, Call, Record, Recorder, Verb};
use rondo_adapter::status::NtStatus::*;
use support::*;

fn recorder() -> Recorder<dyn VmHost> {
    Recorder::new(adapter() as Arc<dyn VmHost>)
}

#[test]
fn calls_and_answers_are_written_down_in_order() {
    let ddi = recorder();
    let worker = create_worker(&ddi);
    let data = identity(worker, 1, 0);
    assert_eq!(ddi.set_virtual_machine_data(&data), OK);
    assert_eq!(ddi.create_device(worker), refused(InvalidParameter));
    let flags = CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS);
    let expected = [
        Record {
            call: Call::CreateProcess(CreateProcess {
                flags,
                ..CreateProcess::default()
            }),
            result: Ok(Answer::Process(worker)),
        },
        Record {
            call: Call::SetVirtualMachineData(data),
            result: Ok(Answer::Done),
        },
        Record {
            call: Call::CreateDevice(worker),
            result: Err(InvalidParameter),
        },
    ];
    assert_eq!(ddi.records(), expected);
    assert_eq!(ddi.take_records(), expected);
    assert_eq!(ddi.records(), []);
    assert_eq!(ddi.calls_made(), 3);
}

#[test]
fn a_call_that_is_made_to_fail_never_reaches_the_driver() {
    let ddi = recorder();
    let worker = create_worker(&ddi);
    let data = identity(worker, 1, 0);
    ddi.fail_next(Verb::SetVirtualMachineData, NoMemory);
    ddi.fail_next(Verb::SetVirtualMachineData, AccessDenied);
    assert!(ddi.query_adapter_info().is_ok());
    assert_eq!(ddi.set_virtual_machine_data(&data), refused(NoMemory));
    assert_eq!(ddi.set_virtual_machine_data(&data), refused(AccessDenied));
    assert_eq!(ddi.virtual_machine_data(worker), Ok(None));
    assert_eq!(ddi.set_virtual_machine_data(&data), OK);
}

#[test]
fn a_call_fails_by_its_number() {
    let ddi = recorder();
    ddi.fail_call(1, DeviceRemoved);
    assert!(ddi.query_adapter_info().is_ok());
    assert_eq!(ddi.query_adapter_info(), refused(DeviceRemoved));
    assert!(ddi.query_adapter_info().is_ok());
    let verbs: Vec<Verb> = (ddi.records().iter())
        .map(|record| record.call.verb())
        .collect();
    assert_eq!(verbs, [Verb::QueryAdapterInfo; 3]);
}

#[test]
fn every_verb_is_listed_once() {
    let verbs: std::collections::HashSet<_> = Verb::ALL.iter().collect();
    assert_eq!(verbs.len(), Verb::ALL.len());
    assert_eq!(verbs.len(), 42);
}
