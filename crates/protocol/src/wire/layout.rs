// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Compile-time proof that each wire structure has the size and the field offsets of the kernel's header (virtio-bindings).

use core::mem::offset_of;

use virtio_bindings::virtio_gpu as c;

use super::*;
use crate::command::RawMemEntry;

/// `same!(ours after BASE = theirs { our_field = their_field, ... })`: theirs opens with BASE bytes that ours leaves out.
macro_rules! same {
    ($ours:ty, after $base:expr, $theirs:ty { $($field:ident = $theirs_field:ident),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$ours>() + $base == size_of::<$theirs>());
            $(assert!(offset_of!($ours, $field) + $base == offset_of!($theirs, $theirs_field));)*
            // Every field is in the list: their offsets and the size pin each width.
            let listed = [$(stringify!($field)),*];
            assert!(listed.len() > 0);
        };
    };
}

const HDR: usize = size_of::<c::virtio_gpu_ctrl_hdr>();
const _: () =
    assert!(size_of::<CtrlHdr>() == 24 && align_of::<CtrlHdr>() == 1 && size_of::<Empty>() == 0);
const _: () = assert!(size_of::<c::virtio_gpu_ctx_destroy>() == HDR);

same!(CtrlHdr, after 0, c::virtio_gpu_ctrl_hdr {
    type_ = type_, flags = flags, fence_id = fence_id, ctx_id = ctx_id, ring_idx = ring_idx, padding = padding,
});
same!(Rect, after 0, c::virtio_gpu_rect { x = x, y = y, width = width, height = height });
same!(Box3, after 0, c::virtio_gpu_box { x = x, y = y, z = z, w = w, h = h, d = d });
same!(RawMemEntry, after 0, c::virtio_gpu_mem_entry { addr = addr, length = length, padding = padding });
same!(GetEdid, after HDR, c::virtio_gpu_cmd_get_edid { scanout = scanout, padding = padding });
same!(ResourceCreate2d, after HDR, c::virtio_gpu_resource_create_2d {
    resource_id = resource_id, format = format, width = width, height = height,
});
same!(Resource, after HDR, c::virtio_gpu_resource_unref { resource_id = resource_id, padding = padding });
same!(Resource, after HDR, c::virtio_gpu_resource_detach_backing { resource_id = resource_id, padding = padding });
same!(Resource, after HDR, c::virtio_gpu_resource_assign_uuid { resource_id = resource_id, padding = padding });
same!(Resource, after HDR, c::virtio_gpu_ctx_resource { resource_id = resource_id, padding = padding });
same!(Resource, after HDR, c::virtio_gpu_resource_unmap_blob { resource_id = resource_id, padding = padding });
same!(SetScanout, after HDR, c::virtio_gpu_set_scanout { r = r, scanout_id = scanout_id, resource_id = resource_id });
same!(ResourceFlush, after HDR, c::virtio_gpu_resource_flush { r = r, resource_id = resource_id, padding = padding });
same!(TransferToHost2d, after HDR, c::virtio_gpu_transfer_to_host_2d {
    r = r, offset = offset, resource_id = resource_id, padding = padding,
});
same!(ResourceAttachBacking, after HDR, c::virtio_gpu_resource_attach_backing {
    resource_id = resource_id, nr_entries = nr_entries,
});
same!(GetCapsetInfo, after HDR, c::virtio_gpu_get_capset_info { capset_index = capset_index, padding = padding });
same!(GetCapset, after HDR, c::virtio_gpu_get_capset { capset_id = capset_id, capset_version = capset_version });
same!(ResourceCreateBlob, after HDR, c::virtio_gpu_resource_create_blob {
    resource_id = resource_id, blob_mem = blob_mem, blob_flags = blob_flags, nr_entries = nr_entries, blob_id = blob_id,
    size = size,
});
same!(SetScanoutBlob, after HDR, c::virtio_gpu_set_scanout_blob {
    r = r, scanout_id = scanout_id, resource_id = resource_id, width = width, height = height, format = format,
    padding = padding, strides = strides, offsets = offsets,
});
same!(CtxCreate, after HDR, c::virtio_gpu_ctx_create { nlen = nlen, context_init = context_init, debug_name = debug_name });
same!(ResourceCreate3d, after HDR, c::virtio_gpu_resource_create_3d {
    resource_id = resource_id, target = target, format = format, bind = bind, width = width, height = height, depth = depth,
    array_size = array_size, last_level = last_level, nr_samples = nr_samples, flags = flags, padding = padding,
});
same!(TransferHost3d, after HDR, c::virtio_gpu_transfer_host_3d {
    box_ = box_, offset = offset, resource_id = resource_id, level = level, stride = stride, layer_stride = layer_stride,
});
same!(CmdSubmit, after HDR, c::virtio_gpu_cmd_submit { size = size, padding = padding });
same!(ResourceMapBlob, after HDR, c::virtio_gpu_resource_map_blob {
    resource_id = resource_id, padding = padding, offset = offset,
});
same!(CursorPos, after 0, c::virtio_gpu_cursor_pos { scanout_id = scanout_id, x = x, y = y, padding = padding });
same!(UpdateCursor, after HDR, c::virtio_gpu_update_cursor {
    pos = pos, resource_id = resource_id, hot_x = hot_x, hot_y = hot_y, padding = padding,
});
same!(DisplayOne, after 0, c::virtio_gpu_resp_display_info_virtio_gpu_display_one { r = r, enabled = enabled, flags = flags });
same!(RespDisplayInfo, after HDR, c::virtio_gpu_resp_display_info { pmodes = pmodes });
same!(RespCapsetInfo, after HDR, c::virtio_gpu_resp_capset_info {
    capset_id = capset_id, capset_max_version = capset_max_version, capset_max_size = capset_max_size, padding = padding,
});
same!(RespEdid, after HDR, c::virtio_gpu_resp_edid { size = size, padding = padding, edid = edid });
same!(RespResourceUuid, after HDR, c::virtio_gpu_resp_resource_uuid { uuid = uuid });
same!(RespMapInfo, after HDR, c::virtio_gpu_resp_map_info { map_info = map_info, padding = padding });

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
