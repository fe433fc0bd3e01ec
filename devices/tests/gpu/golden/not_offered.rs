// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Commands that are not offered, and that the table is complete.

use super::*;

/// All bytes of every command that is not in the rows above: no call, and the error.
#[test]
fn commands_that_are_not_offered_make_no_call() {
    let no_call = [
        (CommandCode::GetCapsetInfo, ErrorCode::InvalidParameter),
        (CommandCode::GetCapset, ErrorCode::InvalidParameter),
        (CommandCode::CtxCreate, ErrorCode::Unspec),
        (CommandCode::CtxDestroy, ErrorCode::Unspec),
        (CommandCode::CtxAttachResource, ErrorCode::Unspec),
        (CommandCode::CtxDetachResource, ErrorCode::Unspec),
        (CommandCode::ResourceCreate3d, ErrorCode::Unspec),
        (CommandCode::TransferToHost3d, ErrorCode::Unspec),
        (CommandCode::TransferFromHost3d, ErrorCode::Unspec),
        (CommandCode::Submit3d, ErrorCode::Unspec),
        (CommandCode::ResourceMapBlob, ErrorCode::Unspec),
        (CommandCode::ResourceUnmapBlob, ErrorCode::Unspec),
    ];
    let rows = [
        CommandCode::GetDisplayInfo,
        CommandCode::GetEdid,
        CommandCode::ResourceCreate2d,
        CommandCode::ResourceCreateBlob,
        CommandCode::ResourceUnref,
        CommandCode::ResourceAttachBacking,
        CommandCode::ResourceDetachBacking,
        CommandCode::TransferToHost2d,
        CommandCode::ResourceFlush,
        CommandCode::SetScanout,
        CommandCode::SetScanoutBlob,
        CommandCode::ResourceAssignUuid,
        CommandCode::UpdateCursor,
        CommandCode::MoveCursor,
    ];
    let mut covered: BTreeSet<CommandCode> = rows.into();
    let mut golden = Golden::new();
    for (code, error) in no_call {
        covered.insert(code);
        let mut bytes = vec![0; code.fixed_len()];
        bytes[..4].copy_from_slice(&code.get().to_le_bytes());
        bytes[16] = 9; // ctx_id
        // The first number of each body names a resource or a context's parameter; 3 is a blob.
        bytes.iter_mut().skip(24).take(1).for_each(|byte| *byte = 3);
        let answer = golden.rig.send_bytes(&bytes, 64);
        assert_eq!(answer.response(), Response::Err(error), "{}", code.name());
    }
    assert_eq!(golden.calls(), []);
    assert_eq!(
        covered,
        BTreeSet::from(CommandCode::ALL),
        "the table is complete"
    );
}

#[test]
fn commands_of_features_that_the_driver_refused_make_no_call() {
    let features = [Feature::Edid, Feature::ResourceUuid, Feature::ResourceBlob];
    let mut rig = Rig::new(RigConfig {
        refused_features: features.iter().map(|feature| feature.mask()).sum(),
        ..RigConfig::default()
    });
    rig.ok(&Request::new(create_2d(1)));
    rig.ddi.take_records();
    for code in CommandCode::ALL {
        if code
            .feature()
            .is_some_and(|feature| features.contains(&feature))
        {
            let mut bytes = vec![0; code.fixed_len()];
            bytes[..4].copy_from_slice(&code.get().to_le_bytes());
            bytes[24] = 1;
            let answer = rig.send_bytes(&bytes, 1100);
            assert_eq!(answer.len, 24);
            assert_eq!(
                answer.response(),
                Response::Err(ErrorCode::Unspec),
                "{}",
                code.name()
            );
        }
    }
    assert_eq!(rig.ddi.take_records(), []);
}
