// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The constants are those of the kernel's header (virtio-bindings), and the table of commands says the right things of each.
#![allow(missing_docs)]

use rondo_protocol::*;

#[test]
fn numbers_are_those_of_the_kernel_header() {
    use virtio_bindings::virtio_gpu as c;
    assert_eq!(
        CommandCode::GetDisplayInfo.get(),
        c::virtio_gpu_ctrl_type_VIRTIO_GPU_CMD_GET_DISPLAY_INFO
    );
    assert_eq!(
        CommandCode::SetScanoutBlob.get(),
        c::virtio_gpu_ctrl_type_VIRTIO_GPU_CMD_SET_SCANOUT_BLOB
    );
    assert_eq!(
        CommandCode::CtxCreate.get(),
        c::virtio_gpu_ctrl_type_VIRTIO_GPU_CMD_CTX_CREATE
    );
    assert_eq!(
        CommandCode::ResourceUnmapBlob.get(),
        c::virtio_gpu_ctrl_type_VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB
    );
    assert_eq!(
        CommandCode::MoveCursor.get(),
        c::virtio_gpu_ctrl_type_VIRTIO_GPU_CMD_MOVE_CURSOR
    );
    assert_eq!(
        (FLAG_FENCE, FLAG_INFO_RING_IDX),
        (c::VIRTIO_GPU_FLAG_FENCE, c::VIRTIO_GPU_FLAG_INFO_RING_IDX)
    );
    assert_eq!(limits::MAX_SCANOUTS, c::VIRTIO_GPU_MAX_SCANOUTS);
    assert_eq!(EVENT_DISPLAY, c::VIRTIO_GPU_EVENT_DISPLAY);
    assert_eq!(RESOURCE_FLAG_Y_0_TOP, c::VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP);
    let blob_mem = [
        c::VIRTIO_GPU_BLOB_MEM_GUEST,
        c::VIRTIO_GPU_BLOB_MEM_HOST3D,
        c::VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
    ];
    assert_eq!(
        [BlobMem::Guest, BlobMem::Host3d, BlobMem::Host3dGuest].map(BlobMem::get),
        blob_mem
    );
    let blob_flags = [
        c::VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
        c::VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
        c::VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE,
    ];
    assert_eq!(
        [
            BlobFlags::MAPPABLE,
            BlobFlags::SHAREABLE,
            BlobFlags::CROSS_DEVICE
        ]
        .map(BlobFlags::get),
        blob_flags
    );
    let capsets = [
        c::VIRTIO_GPU_CAPSET_VIRGL,
        c::VIRTIO_GPU_CAPSET_VIRGL2,
        c::VIRTIO_GPU_CAPSET_GFXSTREAM_VULKAN,
        c::VIRTIO_GPU_CAPSET_VENUS,
        c::VIRTIO_GPU_CAPSET_CROSS_DOMAIN,
        c::VIRTIO_GPU_CAPSET_DRM,
    ];
    let ours = [
        CapsetId::VIRGL,
        CapsetId::VIRGL2,
        CapsetId::GFXSTREAM_VULKAN,
        CapsetId::VENUS,
        CapsetId::CROSS_DOMAIN,
        CapsetId::DRM,
    ];
    assert_eq!(ours.map(CapsetId::get), capsets);
}

#[test]
fn features_gate_exactly_the_commands_that_need_them() {
    let needing = |feature| {
        CommandCode::ALL
            .into_iter()
            .filter(|code| code.feature() == feature)
            .count()
    };
    assert_eq!(needing(None), 12);
    assert_eq!(needing(Some(Feature::Edid)), 1);
    assert_eq!(needing(Some(Feature::ResourceUuid)), 1);
    assert_eq!(needing(Some(Feature::ResourceBlob)), 4);
    assert_eq!(needing(Some(Feature::Virgl)), 8);
    let cursor: Vec<_> = CommandCode::ALL
        .into_iter()
        .filter(|code| code.queue() == Queue::Cursor)
        .collect();
    assert_eq!(cursor, [CommandCode::UpdateCursor, CommandCode::MoveCursor]);
}
