// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guests: instruction bytes, and the image formats to wrap them in.

/// Where images put their code.
pub const CODE: u32 = 0x10_0000;

/// Instructions that mean the same in 32-bit and 64-bit mode.
pub fn out(port: u16, value: u8) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    // mov dx, port; mov al, value; out dx, al
    vec![0x66, 0xBA, low, high, 0xB0, value, 0xEE]
}

/// Prints one character on COM1.
pub fn print(character: u8) -> Vec<u8> {
    out(0x3F8, character)
}

/// Powers off by the ACPI sleep control register, and halts until that has happened.
pub fn power_off() -> Vec<u8> {
    [out(0x600, 0x34), halt()].concat()
}

/// cli-less halt, for ever.
pub fn halt() -> Vec<u8> {
    vec![0xF4, 0xEB, 0xFD]
}

/// jmp $
pub fn spin() -> Vec<u8> {
    vec![0xEB, 0xFE]
}

/// 32-bit mode: mov dword [address], value
pub fn store(address: u32, value: u32) -> Vec<u8> {
    [
        &[0xC7, 0x05][..],
        &address.to_le_bytes(),
        &value.to_le_bytes(),
    ]
    .concat()
}

/// 32-bit mode: mov eax, [from]; mov [to], eax
pub fn copy(from: u32, to: u32) -> Vec<u8> {
    [&[0xA1][..], &from.to_le_bytes(), &[0xA3], &to.to_le_bytes()].concat()
}

/// Prints the string at `esi` or `rsi` up to its terminating zero.
pub fn print_string() -> Vec<u8> {
    // mov dx, 0x3f8; again: lodsb; test al, al; jz end; out dx, al; jmp again; end:
    vec![
        0x66, 0xBA, 0xF8, 0x03, 0xAC, 0x84, 0xC0, 0x74, 0x03, 0xEE, 0xEB, 0xF8,
    ]
}

/// An ELF image with `code` at [`CODE`], entered there in 32-bit mode by a PVH note.
pub fn pvh(code: &[u8]) -> Vec<u8> {
    elf(code, true)
}

/// An ELF image with `code` at [`CODE`], entered there in 64-bit mode.
pub fn elf64(code: &[u8]) -> Vec<u8> {
    elf(code, false)
}

fn elf(code: &[u8], with_note: bool) -> Vec<u8> {
    const HEADER: u64 = 64;
    const PROGRAM_HEADER: u64 = 56;
    let note: Vec<u8> = [4_u32, 4, 18]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .chain(*b"Xen\0")
        .chain(CODE.to_le_bytes())
        .collect();
    let headers = if with_note { 2_u16 } else { 1 };
    let note_start = HEADER + PROGRAM_HEADER * 2;
    let code_start = note_start + note.len() as u64;
    let mut image = Vec::new();
    image.extend(b"\x7FELF\x02\x01\x01");
    image.resize(16, 0);
    image.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    image.extend(u64::from(CODE).to_le_bytes());
    image.extend(HEADER.to_le_bytes());
    image.extend([0; 12]);
    for half in [64, 56, headers, 64, 0, 0] {
        image.extend(half.to_le_bytes());
    }
    let mut segment = |kind: u32, offset: u64, address: u64, size: u64| {
        image.extend(kind.to_le_bytes());
        image.extend(7_u32.to_le_bytes());
        for field in [offset, address, address, size, size, 4] {
            image.extend(field.to_le_bytes());
        }
    };
    segment(1, code_start, CODE.into(), code.len() as u64);
    segment(
        if with_note { 4 } else { 0 },
        note_start,
        0,
        note.len() as u64,
    );
    image.extend(note);
    image.extend(code);
    image
}

/// A bzImage (protocol 2.12) whose 64-bit entry is `code`.
pub fn bzimage(code: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x400];
    let mut put =
        |offset: usize, bytes: &[u8]| image[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1F1, &[1]);
    put(0x1FE, &[0x55, 0xAA, 0xEB, 0x6A]);
    put(0x202, b"HdrS");
    put(0x206, &0x20C_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &CODE.to_le_bytes());
    put(0x22C, &0x7FFF_FFFF_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1]);
    put(0x236, &1_u16.to_le_bytes());
    put(0x238, &255_u32.to_le_bytes());
    put(0x258, &0x20_0000_u64.to_le_bytes());
    put(0x260, &0x40_0000_u32.to_le_bytes());
    image.resize(0x400 + 0x200, 0xCC);
    image.extend(code);
    image
}
