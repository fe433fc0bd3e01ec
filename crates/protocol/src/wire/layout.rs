// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Compile-time proof that each wire structure has the size and the field offsets of the kernel's header (virtio-bindings).

use core::mem::offset_of;

use virtio_bindings::virtio_gpu as c;

use super::*;
use crate::command::RawMemEntry;

/// `same!(Ours, after BASE, Theirs { field, ... })`: theirs opens with BASE bytes that ours leaves out; then all fields of ours, and
/// theirs of the same names, lie at the same places.
macro_rules! same {
    ($ours:ident, after $base:expr, $theirs:ty { $($field:ident),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$ours>() + $base == size_of::<$theirs>());
            $(assert!(offset_of!($ours, $field) + $base == offset_of!($theirs, $field));)*
        };
        // Does not compile if a field of ours is not in the list.
        const _: fn(&$ours) = |$ours { $($field: _),* }| ();
    };
}

const HDR: usize = size_of::<c::virtio_gpu_ctrl_hdr>();
const _: () =
    assert!(size_of::<CtrlHdr>() == 24 && align_of::<CtrlHdr>() == 1 && size_of::<Empty>() == 0);
const _: () = assert!(size_of::<c::virtio_gpu_ctx_destroy>() == HDR);

same!(CtrlHdr, after 0, c::virtio_gpu_ctrl_hdr {
    type_, flags, fence_id, ctx_id, ring_idx, padding,
});
same!(Rect, after 0, c::virtio_gpu_rect { x, y, width, height });
same!(Box3, after 0, c::virtio_gpu_box { x, y, z, w, h, d });
same!(RawMemEntry, after 0, c::virtio_gpu_mem_entry { addr, length, padding });
same!(GetEdid, after HDR, c::virtio_gpu_cmd_get_edid { scanout, padding });
same!(ResourceCreate2d, after HDR, c::virtio_gpu_resource_create_2d {
    resource_id, format, width, height,
});
same!(Resource, after HDR, c::virtio_gpu_resource_unref { resource_id, padding });
same!(Resource, after HDR, c::virtio_gpu_resource_detach_backing { resource_id, padding });
same!(Resource, after HDR, c::virtio_gpu_resource_assign_uuid { resource_id, padding });
same!(Resource, after HDR, c::virtio_gpu_ctx_resource { resource_id, padding });
same!(Resource, after HDR, c::virtio_gpu_resource_unmap_blob { resource_id, padding });
same!(SetScanout, after HDR, c::virtio_gpu_set_scanout { r, scanout_id, resource_id });
same!(ResourceFlush, after HDR, c::virtio_gpu_resource_flush { r, resource_id, padding });
same!(TransferToHost2d, after HDR, c::virtio_gpu_transfer_to_host_2d {
    r, offset, resource_id, padding,
});
same!(ResourceAttachBacking, after HDR, c::virtio_gpu_resource_attach_backing {
    resource_id, nr_entries,
});
same!(GetCapsetInfo, after HDR, c::virtio_gpu_get_capset_info { capset_index, padding });
same!(GetCapset, after HDR, c::virtio_gpu_get_capset { capset_id, capset_version });
same!(ResourceCreateBlob, after HDR, c::virtio_gpu_resource_create_blob {
    resource_id, blob_mem, blob_flags, nr_entries, blob_id,
    size,
});
same!(SetScanoutBlob, after HDR, c::virtio_gpu_set_scanout_blob {
    r, scanout_id, resource_id, width, height, format,
    padding, strides, offsets,
});
same!(CtxCreate, after HDR, c::virtio_gpu_ctx_create { nlen, context_init, debug_name });
same!(ResourceCreate3d, after HDR, c::virtio_gpu_resource_create_3d {
    resource_id, target, format, bind, width, height, depth,
    array_size, last_level, nr_samples, flags, padding,
});
same!(TransferHost3d, after HDR, c::virtio_gpu_transfer_host_3d {
    box_, offset, resource_id, level, stride, layer_stride,
});
same!(CmdSubmit, after HDR, c::virtio_gpu_cmd_submit { size, padding });
same!(ResourceMapBlob, after HDR, c::virtio_gpu_resource_map_blob {
    resource_id, padding, offset,
});
same!(CursorPos, after 0, c::virtio_gpu_cursor_pos { scanout_id, x, y, padding });
same!(UpdateCursor, after HDR, c::virtio_gpu_update_cursor {
    pos, resource_id, hot_x, hot_y, padding,
});
same!(DisplayOne, after 0, c::virtio_gpu_resp_display_info_virtio_gpu_display_one { r, enabled, flags });
same!(RespDisplayInfo, after HDR, c::virtio_gpu_resp_display_info { pmodes });
same!(RespCapsetInfo, after HDR, c::virtio_gpu_resp_capset_info {
    capset_id, capset_max_version, capset_max_size, padding,
});
same!(RespEdid, after HDR, c::virtio_gpu_resp_edid { size, padding, edid });
same!(RespResourceUuid, after HDR, c::virtio_gpu_resp_resource_uuid { uuid });
same!(RespMapInfo, after HDR, c::virtio_gpu_resp_map_info { map_info, padding });

// virtio-bindings 0.2.7 knows the configuration of virtio 1.3; blob_alignment follows it.
const _: () = {
    type Old = c::virtio_gpu_config;
    assert!(offset_of!(Config, events_read) == offset_of!(Old, events_read));
    assert!(offset_of!(Config, events_clear) == offset_of!(Old, events_clear));
    assert!(offset_of!(Config, num_scanouts) == offset_of!(Old, num_scanouts));
    assert!(offset_of!(Config, num_capsets) == offset_of!(Old, num_capsets));
    assert!(offset_of!(Config, blob_alignment) == size_of::<Old>());
    assert!(size_of::<Config>() == size_of::<Old>() + 4);
};
