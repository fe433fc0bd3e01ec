// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every response, byte by byte, as the structures of virtio 1.4 lay it out.
#![allow(missing_docs)]

use rondo_protocol::limits::MAX_RESPONSE_LEN;
use rondo_protocol::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn check(header: ResponseHeader, response: Response<'_>, bytes: &[u8]) {
    let mut out = [0xaa; 2 * MAX_RESPONSE_LEN];
    let length = response.encode(&header, &mut out).unwrap();
    assert_eq!(&out[..length], bytes, "{}: encode", response.name());
    assert_eq!(length, response.encoded_len());
    assert!(
        out[length..].iter().all(|byte| *byte == 0xaa),
        "{}: wrote beyond its length",
        response.name()
    );
    assert_eq!(
        Response::decode(bytes),
        Ok((header, response)),
        "{}: decode",
        response.name()
    );
    // Too small a buffer is left alone.
    let mut short = [0xaa; 2 * MAX_RESPONSE_LEN];
    for got in [0, 23, length - 1] {
        let error = response.encode(&header, &mut short[..got]);
        assert_eq!(
            error,
            Err(BufferTooSmall {
                needed: length,
                got
            })
        );
    }
    assert!(short.iter().all(|byte| *byte == 0xaa));
    // Truncated at any length it is refused, except for a capset, which is as long as it is.
    for got in 0..length {
        if got < 24 || !matches!(response, Response::OkCapset(_)) {
            let needed = if got < 24 { 24 } else { length };
            assert_eq!(
                Response::decode(&bytes[..got]),
                Err(ResponseDecodeError::TooShort { needed, got })
            );
        }
    }
}

/// A response without fence, and the same with a fence on ring 3 of context 5.
fn check_both(response: Response<'_>, code: u32, body: &[u8]) {
    check(
        ResponseHeader::default(),
        response,
        &[words(&[code, 0, 0, 0, 0, 0]), body.to_vec()].concat(),
    );
    let echoed = ResponseHeader {
        fence: Some(0x9_0000_0008),
        ctx_id: ContextId::new(5),
        ring_idx: Some(3),
    };
    check(
        echoed,
        response,
        &[words(&[code, 3, 8, 9, 5, 3]), body.to_vec()].concat(),
    );
    assert_eq!(response.code().get(), code);
}

#[test]
fn responses_without_data_are_a_header() {
    check_both(Response::OkNoData, 0x1100, &[]);
    let errors = [
        ErrorCode::Unspec,
        ErrorCode::OutOfMemory,
        ErrorCode::InvalidScanoutId,
        ErrorCode::InvalidResourceId,
        ErrorCode::InvalidContextId,
        ErrorCode::InvalidParameter,
    ];
    for (error, code) in errors.into_iter().zip(0x1200..) {
        let response = Response::from(error);
        check_both(response, code, &[]);
        assert!(!response.is_ok());
        assert_eq!(ResponseType::from(error).error(), Some(error));
    }
}

#[test]
fn display_info_has_sixteen_places() {
    let mut info = DisplayInfo::default();
    info.modes[0] = DisplayMode {
        rect: Rect::new(0, 0, 1280, 800),
        enabled: true,
        flags: 0,
    };
    info.modes[15] = DisplayMode {
        rect: Rect::new(1280, 1, 640, 480),
        enabled: true,
        flags: 9,
    };
    let mut body = words(&[0, 0, 1280, 800, 1, 0]);
    body.resize(15 * 24, 0);
    body.extend(words(&[1280, 1, 640, 480, 1, 9]));
    check_both(Response::OkDisplayInfo(info), 0x1101, &body);
}

#[test]
fn capset_responses() {
    let info = CapsetInfo {
        id: CapsetId::VENUS,
        max_version: 2,
        max_size: 160,
    };
    check_both(
        Response::OkCapsetInfo(info),
        0x1102,
        &words(&[4, 2, 160, 0]),
    );
    check_both(Response::OkCapset(&[1, 2, 3]), 0x1103, &[1, 2, 3]);
}

#[test]
fn an_edid_is_padded_with_zeros_to_1024_bytes() {
    let edid: Vec<u8> = (0..128).collect();
    let mut body = words(&[128, 0]);
    body.extend(&edid);
    body.resize(8 + 1024, 0);
    check_both(Response::OkEdid(&edid), 0x1104, &body);
    assert_eq!(Response::OkEdid(&edid).encoded_len(), MAX_RESPONSE_LEN);
}

#[test]
fn an_edid_too_long_is_cut_on_the_way_out_and_refused_on_the_way_in() {
    let mut out = [0; MAX_RESPONSE_LEN];
    Response::OkEdid(&[7; 1025])
        .encode(&ResponseHeader::default(), &mut out)
        .unwrap();
    assert_eq!(
        Response::decode(&out).unwrap().1,
        Response::OkEdid(&[7; 1024])
    );
    out[24..28].copy_from_slice(&1025u32.to_le_bytes());
    assert_eq!(
        Response::decode(&out),
        Err(ResponseDecodeError::BadEdidSize { size: 1025 })
    );
}

#[test]
fn uuid_and_map_info_responses() {
    let uuid = *b"0123456789abcdef";
    check_both(Response::OkResourceUuid(uuid), 0x1105, &uuid);
    for (cache, number) in [
        MapCache::None,
        MapCache::Cached,
        MapCache::Uncached,
        MapCache::WriteCombining,
    ]
    .into_iter()
    .zip(0..)
    {
        check_both(Response::OkMapInfo(cache), 0x1106, &words(&[number, 0]));
    }
    let bytes = words(&[0x1106, 0, 0, 0, 0, 0, 4, 0]);
    assert_eq!(
        Response::decode(&bytes),
        Err(ResponseDecodeError::BadMapInfo { map_info: 4 })
    );
}

#[test]
fn only_the_thirteen_numbers_are_responses() {
    let known = (0..0x2000)
        .filter(|code| ResponseType::from_wire(*code).is_some_and(|t| t.get() == *code))
        .count();
    assert_eq!(known, 13);
    assert_eq!(ResponseType::ALL.len(), 13);
    for code in [0, 0x100, 0x10ff, 0x1107, 0x11ff, 0x1206, u32::MAX] {
        let bytes = words(&[code, 0, 0, 0, 0, 0]);
        assert_eq!(
            Response::decode(&bytes),
            Err(ResponseDecodeError::UnknownResponse { code })
        );
    }
}

#[test]
fn a_response_echoes_what_its_request_carried() {
    let request = Request::new(Command::CtxDestroy)
        .fenced(77)
        .in_context(ContextId::new(5))
        .on_ring(0);
    let mut bytes = [0; 24];
    request.encode(&mut bytes).unwrap();
    let header = decode(&bytes).unwrap().header;
    let mut out = [0; 24];
    Response::OkNoData
        .encode(&header.response(), &mut out)
        .unwrap();
    // Everything but the type is the same.
    assert_eq!(out[4..], bytes[4..]);
}
