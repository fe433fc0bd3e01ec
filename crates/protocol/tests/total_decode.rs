// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The decoder is total: any bytes give a request or a precise error, and what it returns encodes to what it read.
#![allow(missing_docs, clippy::cast_possible_truncation)]

use proptest::collection::vec;
use proptest::prelude::*;
use rondo_protocol::limits::*;
use rondo_protocol::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A request that is valid for `code`, its variable part empty: every word 1, but for those that name a length.
fn valid(code: CommandCode) -> Vec<u8> {
    let mut bytes = words(&[code.get(), 3, 42, 0, 5, 1]);
    bytes.resize(code.fixed_len(), 0);
    for word in bytes[24..].chunks_exact_mut(4) {
        word.copy_from_slice(&1u32.to_le_bytes());
    }
    let count_at = match code {
        CommandCode::ResourceAttachBacking => Some(28),
        CommandCode::ResourceCreateBlob => Some(36),
        CommandCode::Submit3d => Some(24),
        _ => None,
    };
    if let Some(at) = count_at {
        bytes[at..at + 4].fill(0);
    }
    bytes
}

fn with_word(mut bytes: Vec<u8>, at: usize, word: u32) -> Vec<u8> {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    bytes
}

fn error(bytes: &[u8]) -> (DecodeErrorKind, ErrorCode) {
    let error = decode(bytes).unwrap_err();
    assert_eq!(error.kind().response(), error.response());
    assert!(!error.to_string().is_empty());
    if bytes.len() >= 24 {
        // The fence survives, so that the error response can carry it.
        assert_eq!(error.header(), CtrlHeader::parse(bytes));
        assert_eq!(error.response_header(), error.header().unwrap().response());
    } else {
        assert_eq!(error.header(), None);
        assert_eq!(error.response_header(), ResponseHeader::default());
    }
    (error.kind(), error.response())
}

#[test]
fn every_command_truncated_at_any_length_says_how_much_is_missing() {
    for code in CommandCode::ALL {
        let bytes = valid(code);
        assert_eq!(
            decode(&bytes).map(|request| request.command.code()),
            Ok(code)
        );
        for got in 0..bytes.len() {
            let expected = if got < HEADER_LEN {
                DecodeErrorKind::HeaderTooShort { got }
            } else {
                DecodeErrorKind::BodyTooShort {
                    code,
                    needed: bytes.len(),
                    got,
                }
            };
            assert_eq!(
                error(&bytes[..got]),
                (expected, ErrorCode::Unspec),
                "{code}"
            );
            assert_eq!(
                request_len(&bytes[..got]).map_err(|error| error.kind()),
                Err(expected),
                "{code}"
            );
        }
        // The prefix that a device copies first holds what request_len needs.
        assert!(code.fixed_len() <= MAX_FIXED_LEN, "{code}");
    }
    assert_eq!(
        CommandCode::ALL
            .map(CommandCode::fixed_len)
            .into_iter()
            .max(),
        Some(MAX_FIXED_LEN)
    );
}

#[test]
fn codes_that_are_no_command_are_unknown() {
    for code in [
        0,
        0xff,
        0x10e,
        0x1ff,
        0x20a,
        0x302,
        0x1100,
        0x1200,
        u32::MAX,
    ] {
        let bytes = words(&[code, 1, 42, 0, 0, 0]);
        assert_eq!(
            error(&bytes),
            (DecodeErrorKind::UnknownCommand { code }, ErrorCode::Unspec)
        );
        assert_eq!(
            decode(&bytes).unwrap_err().header().unwrap().fence,
            Some(42)
        );
    }
}

#[test]
fn resource_zero_is_refused_where_a_resource_is_needed() {
    use CommandCode::*;
    let at = |code| match code {
        ResourceFlush => Some(40),
        TransferToHost2d => Some(48),
        TransferToHost3d | TransferFromHost3d => Some(56),
        ResourceCreate2d
        | ResourceUnref
        | ResourceAttachBacking
        | ResourceDetachBacking
        | ResourceAssignUuid
        | ResourceCreateBlob
        | CtxAttachResource
        | CtxDetachResource
        | ResourceCreate3d
        | ResourceMapBlob
        | ResourceUnmapBlob => Some(24),
        _ => None,
    };
    let mut refused = 0;
    for code in CommandCode::ALL {
        if let Some(at) = at(code) {
            let bytes = with_word(valid(code), at, 0);
            assert_eq!(
                error(&bytes),
                (
                    DecodeErrorKind::ZeroResourceId,
                    ErrorCode::InvalidResourceId
                ),
                "{code}"
            );
            refused += 1;
        }
    }
    assert_eq!(refused, 15);
}

#[test]
fn scanouts_from_sixteen_up_are_refused() {
    use CommandCode::*;
    for (code, at) in [
        (SetScanout, 40),
        (SetScanoutBlob, 40),
        (GetEdid, 24),
        (UpdateCursor, 24),
        (MoveCursor, 24),
    ] {
        assert!(decode(&with_word(valid(code), at, 15)).is_ok(), "{code}");
        for scanout in [16, u32::MAX] {
            let bytes = with_word(valid(code), at, scanout);
            assert_eq!(
                error(&bytes),
                (
                    DecodeErrorKind::BadScanoutId { scanout },
                    ErrorCode::InvalidScanoutId
                ),
                "{code}"
            );
        }
    }
}

#[test]
fn bad_parameters_are_named() {
    let invalid = |kind| (kind, ErrorCode::InvalidParameter);
    for (code, at) in [
        (CommandCode::ResourceCreate2d, 28),
        (CommandCode::SetScanoutBlob, 56),
    ] {
        for format in [0, 5, 135, u32::MAX] {
            let bytes = with_word(valid(code), at, format);
            assert_eq!(
                error(&bytes),
                invalid(DecodeErrorKind::BadFormat { format }),
                "{code}"
            );
        }
    }
    for blob_mem in [0, 4, u32::MAX] {
        let bytes = with_word(valid(CommandCode::ResourceCreateBlob), 28, blob_mem);
        assert_eq!(
            error(&bytes),
            invalid(DecodeErrorKind::BadBlobMem { blob_mem })
        );
    }
    for flags in [8, u32::MAX] {
        let bytes = with_word(valid(CommandCode::ResourceCreateBlob), 32, flags);
        assert_eq!(
            error(&bytes),
            invalid(DecodeErrorKind::BadBlobFlags { flags })
        );
    }
    for ring_idx in [64, 255] {
        let bytes = with_word(valid(CommandCode::GetDisplayInfo), 20, ring_idx.into());
        assert_eq!(
            error(&bytes),
            invalid(DecodeErrorKind::BadRingIndex { ring_idx })
        );
        // Without its flag the field means nothing.
        assert!(decode(&with_word(bytes, 4, 1)).is_ok());
    }
}

#[test]
fn context_zero_is_refused_where_a_context_is_needed() {
    for code in CommandCode::ALL {
        let bytes = with_word(valid(code), 16, 0);
        if code.needs_context() {
            assert_eq!(
                error(&bytes),
                (DecodeErrorKind::ZeroContextId, ErrorCode::InvalidContextId),
                "{code}"
            );
        } else {
            assert!(decode(&bytes).is_ok(), "{code}");
        }
    }
}

#[test]
fn entries_must_be_there_and_within_the_limit() {
    for (code, at) in [
        (CommandCode::ResourceAttachBacking, 28),
        (CommandCode::ResourceCreateBlob, 36),
    ] {
        // Two and a half entries present.
        let bytes = [with_word(valid(code), at, 2), vec![1; 40]].concat();
        assert!(decode(&bytes).is_ok(), "{code}");
        assert_eq!(request_len(&bytes), Ok(code.fixed_len() + 32), "{code}");
        let bytes = with_word(bytes, at, 3);
        let missing = DecodeErrorKind::EntriesMissing {
            claimed: 3,
            present: 2,
        };
        assert_eq!(error(&bytes), (missing, ErrorCode::Unspec), "{code}");

        let most = with_word(valid(code), at, MAX_MEM_ENTRIES);
        assert_eq!(
            request_len(&most),
            Ok(code.fixed_len() + 16 * MAX_MEM_ENTRIES as usize),
            "{code}"
        );
        for claimed in [MAX_MEM_ENTRIES + 1, 0x1000_0000, u32::MAX] {
            let bytes = with_word(valid(code), at, claimed);
            let too_many = DecodeErrorKind::TooManyEntries { claimed };
            assert_eq!(
                error(&bytes),
                (too_many, ErrorCode::InvalidParameter),
                "{code}"
            );
            assert_eq!(request_len(&bytes).unwrap_err().kind(), too_many, "{code}");
        }
    }
}

#[test]
fn a_stream_must_be_there_and_within_the_limit() {
    let submit = valid(CommandCode::Submit3d);
    let bytes = [with_word(submit.clone(), 24, 6), vec![1; 5]].concat();
    let missing = DecodeErrorKind::StreamMissing {
        claimed: 6,
        present: 5,
    };
    assert_eq!(error(&bytes), (missing, ErrorCode::Unspec));
    assert_eq!(request_len(&bytes), Ok(38));
    for claimed in [MAX_SUBMIT_LEN + 1, u32::MAX] {
        let bytes = with_word(submit.clone(), 24, claimed);
        let too_long = DecodeErrorKind::StreamTooLong { claimed };
        assert_eq!(error(&bytes), (too_long, ErrorCode::InvalidParameter));
        assert_eq!(request_len(&bytes).unwrap_err().kind(), too_long);
    }
}

/// Bytes with a header that names a command, more often than chance would.
fn likely_request() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![3 => 0u32..4, 1 => any::<u32>()];
    (
        0..CommandCode::ALL.len(),
        0u32..4,
        any::<u64>(),
        0u32..3,
        0u32..70,
        vec(word, 0..40),
        0usize..4,
    )
        .prop_map(|(code, flags, fence, ctx, ring, body, cut)| {
            let code = CommandCode::ALL[code].get();
            let mut bytes = words(&[code, flags, fence as u32, (fence >> 32) as u32, ctx, ring]);
            bytes.extend(words(&body));
            bytes.truncate(bytes.len() - cut);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_decode_to_a_request_or_an_error(bytes in prop_oneof![vec(any::<u8>(), 0..200), likely_request()]) {
        match decode(&bytes) {
            Ok(request) => {
                // What was read encodes to a request that reads the same, and no longer than what was there.
                let mut out = vec![0; bytes.len()];
                let length = request.encode(&mut out).unwrap();
                prop_assert_eq!(request_len(&bytes), Ok(length));
                prop_assert_eq!(decode(&out[..length]), Ok(request));
            }
            Err(error) => {
                prop_assert_eq!(error.header(), CtrlHeader::parse(&bytes));
                prop_assert!(!error.to_string().is_empty());
            }
        }
        // Neither does a response panic.
        if let Ok((header, response)) = Response::decode(&bytes) {
            prop_assert!(response.encode(&header, &mut vec![0; response.encoded_len()]).is_ok());
        }
    }

    #[test]
    fn requests_with_variable_parts_round_trip(
        resource in 1u32..,
        entries in vec((any::<u64>(), any::<u32>()), 0..50),
        stream in vec(any::<u8>(), 0..300),
        name in vec(any::<u8>(), 0..100),
        (fence, ring) in (proptest::option::of(any::<u64>()), proptest::option::of(0u8..64)),
        (mem, flags, blob_id, size) in (1u32..4, 0u32..8, any::<u64>(), any::<u64>()),
    ) {
        let resource = ResourceId::new(resource).unwrap();
        let raw: Vec<_> = entries.iter().map(|(addr, length)| RawMemEntry::new(*addr, *length)).collect();
        let list = MemEntries::new(&raw);
        prop_assert_eq!(list.len(), entries.len());
        prop_assert!(list.iter().map(|entry| (entry.addr, entry.length)).eq(entries.iter().copied()));
        prop_assert_eq!(list.total_len(), entries.iter().map(|(_, length)| u64::from(*length)).sum::<u64>());
        let blob = ResourceCreateBlob {
            resource,
            mem: BlobMem::from_wire(mem).unwrap(),
            flags: BlobFlags::from_wire(flags).unwrap(),
            blob_id,
            size,
            entries: list,
        };
        for command in [
            Command::ResourceAttachBacking(ResourceAttachBacking { resource, entries: list }),
            Command::ResourceCreateBlob(blob),
            Command::Submit3d { stream: &stream },
            Command::CtxCreate(CtxCreate { context_init: mem, debug_name: DebugName::new(&name) }),
        ] {
            let mut request = Request::new(command).in_context(ContextId::new(1));
            request.header.fence = fence;
            request.header.ring_idx = ring;
            let mut out = vec![0; request.encoded_len()];
            prop_assert_eq!(request.encode(&mut out), Ok(out.len()));
            prop_assert_eq!(decode(&out), Ok(request));
            let short = out.len() - 1;
            let refused = BufferTooSmall { needed: out.len(), got: short };
            prop_assert_eq!(request.encode(&mut out[..short]), Err(refused));
        }
    }
}
