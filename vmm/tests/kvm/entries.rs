// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Each way into a kernel: the guest finds its command line, its initrd and its memory where the protocol says.

use std::io::Write;

use rondo::memory::MemorySize;
use rondo::vm::VmOutcome;
use vm_memory::{Bytes, GuestAddress};

use crate::guest::{bzimage, elf64, power_off, print_string, pvh};
use crate::{NO_DOORBELLS, Paper, Probe, builder, config, hypervisor};

#[test]
fn given_a_pvh_kernel_then_it_finds_its_command_line_with_the_virtio_window_in_it() {
    let Some(kvm) = hypervisor() else { return };
    // mov esi, [ebx + 24]: hvm_start_info.cmdline_paddr
    let code = [vec![0x8B, 0x73, 0x18], print_string(), power_off()].concat();
    let mut config = config("pvh", pvh(&code));
    config.command_line = "frames=3 -- tail".into();
    config.virtio_mmio_on_command_line = true;
    let paper = Paper::default();
    let mut builder = builder(&kvm, config, &paper);
    let window = builder.reserve_virtio_mmio().unwrap();
    builder
        .add_virtio_mmio(&window, Probe::new().0, NO_DOORBELLS)
        .unwrap();
    assert_eq!(
        builder.build().unwrap().start().unwrap().wait(),
        VmOutcome::PoweredOff
    );
    assert_eq!(
        paper.text(),
        "frames=3 virtio_mmio.device=4K@0xd0000000:5 -- tail"
    );
}

#[test]
fn given_a_pvh_kernel_with_an_initrd_then_the_module_list_leads_to_it() {
    let Some(kvm) = hypervisor() else { return };
    // mov esi, [ebx + 16]: modlist_paddr; mov esi, [esi]: its paddr
    let code = [
        vec![0x8B, 0x73, 0x10, 0x8B, 0x36],
        print_string(),
        power_off(),
    ]
    .concat();
    let mut initrd = tempfile::NamedTempFile::new().unwrap();
    initrd.write_all(b"cargo of the initrd\0").unwrap();
    let mut config = config("initrd", pvh(&code));
    config.initrd = Some(initrd.path().to_owned());
    let paper = Paper::default();
    let vm = builder(&kvm, config, &paper).build().unwrap();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::PoweredOff);
    assert_eq!(paper.text(), "cargo of the initrd");
}

/// mov eax, [rsi + 0x228]: boot_params.hdr.cmd_line_ptr; mov rsi, rax
const COMMAND_LINE_OF_ZERO_PAGE: [u8; 9] = [0x8B, 0x86, 0x28, 0x02, 0, 0, 0x48, 0x89, 0xC6];
/// mov eax, [rsi + 0x218]: boot_params.hdr.ramdisk_image; mov rsi, rax
const INITRD_OF_ZERO_PAGE: [u8; 9] = [0x8B, 0x86, 0x18, 0x02, 0, 0, 0x48, 0x89, 0xC6];

#[test]
fn given_an_elf_kernel_without_a_note_then_it_runs_in_64_bit_mode_with_the_zero_page() {
    let Some(kvm) = hypervisor() else { return };
    let code = [
        COMMAND_LINE_OF_ZERO_PAGE.to_vec(),
        print_string(),
        power_off(),
    ]
    .concat();
    let mut config = config("elf64", elf64(&code));
    config.command_line = "console=ttyS0".into();
    let paper = Paper::default();
    let vm = builder(&kvm, config, &paper).build().unwrap();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::PoweredOff);
    assert_eq!(paper.text(), "console=ttyS0");
}

#[test]
fn given_a_bzimage_then_it_runs_from_its_64_bit_entry_with_its_initrd() {
    let Some(kvm) = hypervisor() else { return };
    let code = [INITRD_OF_ZERO_PAGE.to_vec(), print_string(), power_off()].concat();
    let mut initrd = tempfile::NamedTempFile::new().unwrap();
    initrd.write_all(b"high up\0").unwrap();
    let mut kernel = tempfile::NamedTempFile::new().unwrap();
    kernel.write_all(&bzimage(&code)).unwrap();
    let mut config = config("bzimage", Vec::new());
    config.kernel = rondo::boot::KernelSource::File(kernel.path().to_owned());
    config.initrd = Some(initrd.path().to_owned());
    let paper = Paper::default();
    let vm = builder(&kvm, config, &paper).build().unwrap();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::PoweredOff);
    assert_eq!(paper.text(), "high up");
}

#[test]
fn given_memory_beyond_the_hole_then_the_guest_and_the_host_see_the_same_bytes_there() {
    let Some(kvm) = hypervisor() else { return };
    // 64-bit mode; only 4 GiB are mapped, so the guest maps the 2 MiB at 4 GiB through the spare PDPT slot 4, with a directory at
    // 0x30000: mov qword [0xa020], 0x30003; mov qword [0x30000], 0x100000083 (by rax); then mov rax, 0x100000000; mov dword [rax], value
    let code = [
        vec![
            0x48, 0xC7, 0x04, 0x25, 0x20, 0xA0, 0, 0, 0x03, 0x00, 0x03, 0x00,
        ],
        vec![0x48, 0xB8, 0x83, 0, 0, 0, 1, 0, 0, 0],
        vec![0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x03, 0x00],
        vec![0x48, 0xB8, 0, 0, 0, 0, 1, 0, 0, 0],
        vec![0xC7, 0x00, 0x44, 0x33, 0x22, 0x11],
        power_off(),
    ]
    .concat();
    let mut config = config("high", elf64(&code));
    config.memory = MemorySize::from_mib(3584).unwrap();
    let vm = builder(&kvm, config, &Paper::default()).build().unwrap();
    let memory = vm.memory().clone();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::PoweredOff);
    assert_eq!(
        memory.read_obj::<u32>(GuestAddress(4 << 30)).unwrap(),
        0x1122_3344
    );
}
