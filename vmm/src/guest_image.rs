// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The bare-metal guest that `rondo demo`, the tests and the benchmarks boot, inside the binary. `build.rs` builds it from `tests/guest`.

/// A PVH kernel: a 64-bit ELF with the note `XEN_ELFNOTE_PHYS32_ENTRY`, loaded at 1 MiB. It reads its load from the kernel command line; the
/// words are in the documentation of the package `rondo-guest`.
pub static GUEST_ELF: &[u8] = include_bytes!(env!("RONDO_GUEST_ELF"));

#[cfg(test)]
mod tests {
    use super::GUEST_ELF;

    #[test]
    fn given_the_build_the_embedded_guest_is_an_elf_with_a_pvh_entry() {
        assert!(
            GUEST_ELF.starts_with(b"\x7fELF\x02\x01"),
            "not a little-endian 64-bit ELF"
        );
        // The note: name size 4, descriptor size 8, type 18, name "Xen".
        let note = b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0";
        assert!(
            GUEST_ELF.windows(note.len()).any(|window| window == note),
            "no PVH entry note"
        );
    }

    #[test]
    fn given_the_build_the_embedded_guest_is_small_enough_to_load_in_a_blink() {
        assert!(GUEST_ELF.len() < 512 * 1024, "{} bytes", GUEST_ELF.len());
    }
}
