// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every request, byte by byte, as the structures of virtio 1.4 (5.7.6.7 to 5.7.6.10) lay it out. Written by hand, so that a mistake
//! which the encoder and the decoder share shows up here.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use rondo_protocol::*;

/// The bytes of these little-endian 32-bit words.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A header without flags: type, flags, fence_id (two words), ctx_id, ring_idx and padding.
fn plain(code: u32) -> Vec<u8> {
    words(&[code, 0, 0, 0, 0, 0])
}

/// A header of context 5.
fn in_context(code: u32) -> Vec<u8> {
    words(&[code, 0, 0, 0, 5, 0])
}

fn id(number: u32) -> ResourceId {
    ResourceId::new(number).unwrap()
}

fn scanout(number: u32) -> ScanoutId {
    ScanoutId::new(number).unwrap()
}

/// One request, its bytes, and its name.
struct Golden<'a> {
    name: &'static str,
    request: Request<'a>,
    bytes: Vec<u8>,
}

fn check(golden: &[Golden<'_>]) {
    for Golden {
        name,
        request,
        bytes,
    } in golden
    {
        assert_eq!(request.command.name(), *name);
        assert_eq!(decode(bytes).as_ref(), Ok(request), "{name}: decode");
        let mut out = [0xaa; 512];
        let length = request.encode(&mut out).unwrap();
        assert_eq!(&out[..length], bytes, "{name}: encode");
        assert_eq!(length, request.encoded_len(), "{name}: length");
        assert_eq!(
            request_len(bytes),
            Ok(length),
            "{name}: length told from the bytes"
        );
        assert!(
            out[length..].iter().all(|byte| *byte == 0xaa),
            "{name}: wrote beyond its length"
        );
    }
}

const ENTRIES: [RawMemEntry; 2] = [
    RawMemEntry::new(0x1_2345_6000, 0x1000),
    RawMemEntry::new(0xffff_ffff_ffff_f000, 0xffff_ffff),
];

/// addr, length, padding of each entry.
const ENTRY_WORDS: [u32; 8] = [
    0x2345_6000,
    1,
    0x1000,
    0,
    0xffff_f000,
    0xffff_ffff,
    0xffff_ffff,
    0,
];

const TRANSFER_3D: TransferHost3d = TransferHost3d {
    resource: match ResourceId::new(7) {
        Some(id) => id,
        None => panic!(),
    },
    part: Box3 {
        x: 1,
        y: 2,
        z: 3,
        width: 4,
        height: 5,
        depth: 6,
    },
    offset: 0x9_0000_0008,
    level: 10,
    stride: 11,
    layer_stride: 12,
};

/// box, offset, resource_id, level, stride, layer_stride.
const TRANSFER_3D_WORDS: [u32; 12] = [1, 2, 3, 4, 5, 6, 8, 9, 7, 10, 11, 12];

fn golden<'a>(
    name: &'static str,
    command: Command<'a>,
    header: Vec<u8>,
    body: Vec<u8>,
) -> Golden<'a> {
    let ctx = u32::from_le_bytes(header[16..20].try_into().unwrap());
    let request = Request::new(command).in_context(ContextId::new(ctx));
    Golden {
        name,
        request,
        bytes: [header, body].concat(),
    }
}

fn table_2d() -> Vec<Golden<'static>> {
    vec![
        golden(
            "GET_DISPLAY_INFO",
            Command::GetDisplayInfo,
            plain(0x100),
            vec![],
        ),
        golden(
            "RESOURCE_CREATE_2D",
            Command::ResourceCreate2d(ResourceCreate2d {
                resource: id(7),
                format: Format::R8G8B8X8,
                width: 1280,
                height: 800,
            }),
            plain(0x101),
            words(&[7, 134, 1280, 800]),
        ),
        golden(
            "RESOURCE_UNREF",
            Command::ResourceUnref { resource: id(7) },
            plain(0x102),
            words(&[7, 0]),
        ),
        golden(
            "SET_SCANOUT",
            Command::SetScanout(SetScanout {
                scanout: scanout(15),
                source: Some(ScanoutSource {
                    resource: id(7),
                    rect: Rect::new(1, 2, 3, 4),
                }),
            }),
            plain(0x103),
            words(&[1, 2, 3, 4, 15, 7]),
        ),
        golden(
            "SET_SCANOUT",
            Command::SetScanout(SetScanout {
                scanout: scanout(0),
                source: None,
            }),
            plain(0x103),
            words(&[0, 0, 0, 0, 0, 0]),
        ),
        golden(
            "RESOURCE_FLUSH",
            Command::ResourceFlush(ResourceFlush {
                resource: id(7),
                rect: Rect::new(1, 2, 3, 4),
            }),
            plain(0x104),
            words(&[1, 2, 3, 4, 7, 0]),
        ),
        golden(
            "TRANSFER_TO_HOST_2D",
            Command::TransferToHost2d(TransferToHost2d {
                resource: id(7),
                rect: Rect::new(1, 2, 3, 4),
                offset: 0x9_0000_0008,
            }),
            plain(0x105),
            words(&[1, 2, 3, 4, 8, 9, 7, 0]),
        ),
        golden(
            "RESOURCE_ATTACH_BACKING",
            Command::ResourceAttachBacking(ResourceAttachBacking {
                resource: id(7),
                entries: MemEntries::new(&ENTRIES),
            }),
            plain(0x106),
            [words(&[7, 2]), words(&ENTRY_WORDS)].concat(),
        ),
        golden(
            "RESOURCE_DETACH_BACKING",
            Command::ResourceDetachBacking { resource: id(7) },
            plain(0x107),
            words(&[7, 0]),
        ),
        golden(
            "GET_CAPSET_INFO",
            Command::GetCapsetInfo { index: 3 },
            plain(0x108),
            words(&[3, 0]),
        ),
        golden(
            "GET_CAPSET",
            Command::GetCapset(GetCapset {
                id: CapsetId::VIRGL2,
                version: 1,
            }),
            plain(0x109),
            words(&[2, 1]),
        ),
        golden(
            "GET_EDID",
            Command::GetEdid {
                scanout: scanout(2),
            },
            plain(0x10a),
            words(&[2, 0]),
        ),
        golden(
            "RESOURCE_ASSIGN_UUID",
            Command::ResourceAssignUuid { resource: id(7) },
            plain(0x10b),
            words(&[7, 0]),
        ),
    ]
}

fn table_blob() -> Vec<Golden<'static>> {
    vec![
        golden(
            "RESOURCE_CREATE_BLOB",
            Command::ResourceCreateBlob(ResourceCreateBlob {
                resource: id(7),
                mem: BlobMem::Guest,
                flags: BlobFlags::SHAREABLE.with(BlobFlags::CROSS_DEVICE),
                blob_id: 0x9_0000_0008,
                size: 0xb_0000_000a,
                entries: MemEntries::new(&ENTRIES),
            }),
            plain(0x10c),
            [words(&[7, 1, 6, 2, 8, 9, 10, 11]), words(&ENTRY_WORDS)].concat(),
        ),
        golden(
            "SET_SCANOUT_BLOB",
            Command::SetScanoutBlob(SetScanoutBlob {
                scanout: scanout(5),
                source: Some(BlobFramebuffer {
                    resource: id(7),
                    rect: Rect::new(1, 2, 3, 4),
                    width: 8,
                    height: 9,
                    format: Format::A8B8G8R8,
                    strides: [10, 11, 12, 13],
                    offsets: [14, 15, 16, 17],
                }),
            }),
            plain(0x10d),
            words(&[
                1, 2, 3, 4, 5, 7, 8, 9, 121, 0, 10, 11, 12, 13, 14, 15, 16, 17,
            ]),
        ),
        golden(
            "SET_SCANOUT_BLOB",
            Command::SetScanoutBlob(SetScanoutBlob {
                scanout: scanout(5),
                source: None,
            }),
            plain(0x10d),
            words(&[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        golden(
            "RESOURCE_MAP_BLOB",
            Command::ResourceMapBlob(ResourceMapBlob {
                resource: id(7),
                offset: 0x9_0000_0008,
            }),
            plain(0x208),
            words(&[7, 0, 8, 9]),
        ),
        golden(
            "RESOURCE_UNMAP_BLOB",
            Command::ResourceUnmapBlob { resource: id(7) },
            plain(0x209),
            words(&[7, 0]),
        ),
    ]
}

fn table_3d() -> Vec<Golden<'static>> {
    let mut name = b"glxgears".to_vec();
    name.resize(64, 0);
    vec![
        golden(
            "CTX_CREATE",
            Command::CtxCreate(CtxCreate {
                context_init: 4,
                debug_name: DebugName::new(b"glxgears"),
            }),
            in_context(0x200),
            [words(&[8, 4]), name].concat(),
        ),
        golden(
            "CTX_DESTROY",
            Command::CtxDestroy,
            in_context(0x201),
            vec![],
        ),
        golden(
            "CTX_ATTACH_RESOURCE",
            Command::CtxAttachResource { resource: id(7) },
            in_context(0x202),
            words(&[7, 0]),
        ),
        golden(
            "CTX_DETACH_RESOURCE",
            Command::CtxDetachResource { resource: id(7) },
            in_context(0x203),
            words(&[7, 0]),
        ),
        golden(
            "RESOURCE_CREATE_3D",
            Command::ResourceCreate3d(ResourceCreate3d {
                resource: id(7),
                target: 2,
                format: 3,
                bind: 4,
                width: 5,
                height: 6,
                depth: 8,
                array_size: 9,
                last_level: 10,
                nr_samples: 11,
                flags: RESOURCE_FLAG_Y_0_TOP,
            }),
            plain(0x204),
            words(&[7, 2, 3, 4, 5, 6, 8, 9, 10, 11, 1, 0]),
        ),
        golden(
            "TRANSFER_TO_HOST_3D",
            Command::TransferToHost3d(TRANSFER_3D),
            in_context(0x205),
            words(&TRANSFER_3D_WORDS),
        ),
        golden(
            "TRANSFER_FROM_HOST_3D",
            Command::TransferFromHost3d(TRANSFER_3D),
            in_context(0x206),
            words(&TRANSFER_3D_WORDS),
        ),
        golden(
            "SUBMIT_3D",
            Command::Submit3d { stream: b"12345" },
            in_context(0x207),
            [words(&[5, 0]), b"12345".to_vec()].concat(),
        ),
    ]
}

fn table_cursor() -> Vec<Golden<'static>> {
    vec![
        golden(
            "UPDATE_CURSOR",
            Command::UpdateCursor(UpdateCursor {
                scanout: scanout(1),
                x: -2,
                y: 3,
                resource: Some(id(7)),
                hot_x: 8,
                hot_y: 9,
            }),
            plain(0x300),
            words(&[1, 0xffff_fffe, 3, 0, 7, 8, 9, 0]),
        ),
        golden(
            "MOVE_CURSOR",
            Command::MoveCursor(MoveCursor {
                scanout: scanout(1),
                x: 2,
                y: -3,
            }),
            plain(0x301),
            words(&[1, 2, 0xffff_fffd, 0, 0, 0, 0, 0]),
        ),
    ]
}

#[test]
fn commands_on_2d_resources_have_the_bytes_of_the_specification() {
    check(&table_2d());
}

#[test]
fn commands_on_blobs_have_the_bytes_of_the_specification() {
    check(&table_blob());
}

#[test]
fn commands_on_contexts_have_the_bytes_of_the_specification() {
    check(&table_3d());
}

#[test]
fn cursor_commands_have_the_bytes_of_the_specification() {
    check(&table_cursor());
}

#[test]
fn the_tables_cover_every_command() {
    let tables = [table_2d(), table_blob(), table_3d(), table_cursor()];
    let covered: BTreeSet<_> = tables
        .iter()
        .flatten()
        .map(|golden| golden.request.command.code())
        .collect();
    assert_eq!(covered, CommandCode::ALL.into_iter().collect());
    assert_eq!(covered.len(), 26);
}

#[test]
fn the_header_carries_fence_context_and_ring_under_their_flags() {
    let bytes = words(&[0x100, 3, 0x8765_4321, 0xfedc_ba98, 5, 63]);
    let request = Request::new(Command::GetDisplayInfo)
        .fenced(0xfedc_ba98_8765_4321)
        .in_context(ContextId::new(5))
        .on_ring(63);
    check(&[Golden {
        name: "GET_DISPLAY_INFO",
        request,
        bytes,
    }]);
}

#[test]
fn header_fields_whose_flag_is_clear_and_unknown_flags_mean_nothing() {
    let bytes = words(&[0x100, 0xffff_fffc, 1, 2, 0, 9]);
    assert_eq!(decode(&bytes), Ok(Request::new(Command::GetDisplayInfo)));
    // Fence 0 is a fence.
    let bytes = words(&[0x100, 1, 0, 0, 0, 0]);
    assert_eq!(
        decode(&bytes),
        Ok(Request::new(Command::GetDisplayInfo).fenced(0))
    );
}

#[test]
fn disabling_a_scanout_ignores_the_rest_of_the_command() {
    // Linux sends a size with resource 0; a blob scanout's format is then 0 too.
    let bytes = [plain(0x103), words(&[0, 0, 1024, 768, 3, 0])].concat();
    assert_eq!(
        decode(&bytes).unwrap().command,
        Command::SetScanout(SetScanout {
            scanout: scanout(3),
            source: None
        })
    );
    let bytes = [
        plain(0x10d),
        words(&[1, 2, 3, 4, 3, 0, 5, 6, 999, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
    ]
    .concat();
    let disable = SetScanoutBlob {
        scanout: scanout(3),
        source: None,
    };
    assert_eq!(
        decode(&bytes).unwrap().command,
        Command::SetScanoutBlob(disable)
    );
}

#[test]
fn moving_the_cursor_ignores_image_and_hot_spot() {
    let bytes = [plain(0x301), words(&[1, 2, 3, 0xffff, 7, 8, 9, 0xffff])].concat();
    let moved = MoveCursor {
        scanout: scanout(1),
        x: 2,
        y: 3,
    };
    assert_eq!(decode(&bytes).unwrap().command, Command::MoveCursor(moved));
}

#[test]
fn a_debug_name_longer_than_its_field_is_cut_to_it() {
    let bytes = [in_context(0x200), words(&[u32::MAX, 0]), vec![b'n'; 64]].concat();
    let Command::CtxCreate(create) = decode(&bytes).unwrap().command else {
        panic!("not CTX_CREATE")
    };
    assert_eq!(create.debug_name.as_bytes(), [b'n'; 64]);
    assert_eq!(create.capset(), None);
}

#[test]
fn padding_and_trailing_bytes_are_ignored() {
    let bytes = [plain(0x102), words(&[7, 0xdead_beef, 1, 2, 3])].concat();
    assert_eq!(
        decode(&bytes).unwrap().command,
        Command::ResourceUnref { resource: id(7) }
    );
    let bytes = [
        plain(0x106),
        words(&[7, 1, 0x1000, 0, 0x2000, 0xdead_beef, 5]),
    ]
    .concat();
    let entries = [RawMemEntry::new(0x1000, 0x2000)];
    let attach = ResourceAttachBacking {
        resource: id(7),
        entries: MemEntries::new(&entries),
    };
    assert_eq!(
        decode(&bytes).unwrap().command,
        Command::ResourceAttachBacking(attach)
    );
}
