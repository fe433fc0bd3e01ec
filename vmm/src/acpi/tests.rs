// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The tables as a guest reads them: from the RSDP down, with checksums, fields and byte patterns.

use super::*;
use crate::memory::{self, MemorySize};

fn config(cpus: u8, windows: u32) -> AcpiConfig {
    let window = |n| {
        (
            layout::VIRTIO_MMIO_START + u64::from(n) * layout::VIRTIO_MMIO_SIZE,
            layout::VIRTIO_MMIO_GSI + n,
        )
    };
    AcpiConfig {
        cpus,
        virtio_mmio: (0..windows).map(window).collect(),
        serial: true,
    }
}

struct Machine(GuestMemory);

impl Machine {
    fn new(config: &AcpiConfig) -> Self {
        let memory = memory::create(MemorySize::MIN).unwrap();
        assert_eq!(write(config, &memory).unwrap(), 0xE_0000);
        Self(memory)
    }

    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0
            .read_slice(&mut bytes, GuestAddress(address))
            .unwrap();
        bytes
    }

    fn table(&self, address: u64) -> Vec<u8> {
        let length = u32::from_le_bytes(self.bytes(address + 4, 4).try_into().unwrap());
        self.bytes(address, length as usize)
    }

    fn xsdt(&self) -> Vec<u8> {
        let rsdp = self.bytes(0xE_0000, 36);
        self.table(u64_at(&rsdp, 24))
    }

    fn listed(&self, signature: &[u8; 4]) -> Vec<u8> {
        let xsdt = self.xsdt();
        let addresses = xsdt[36..]
            .chunks(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()));
        addresses
            .map(|address| self.table(address))
            .find(|table| table.starts_with(signature))
            .unwrap()
    }

    fn dsdt(&self) -> Vec<u8> {
        self.table(u64_at(&self.listed(b"FACP"), 140))
    }
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn given_any_number_of_cpus_and_windows_then_every_checksum_is_zero() {
    for (cpus, windows) in [(1, 0), (1, 1), (4, 3), (32, 8)] {
        let machine = Machine::new(&config(cpus, windows));
        let rsdp = machine.bytes(0xE_0000, 36);
        assert_eq!(&rsdp[..8], b"RSD PTR ");
        assert_eq!((sum(&rsdp[..20]), sum(&rsdp)), (0, 0));
        for table in [
            machine.xsdt(),
            machine.listed(b"FACP"),
            machine.listed(b"APIC"),
            machine.dsdt(),
        ] {
            assert_eq!(sum(&table), 0, "{:?}", String::from_utf8_lossy(&table[..4]));
        }
    }
}

#[test]
fn given_the_largest_machine_then_the_tables_lie_apart_and_inside_their_place() {
    let tables = build(&config(32, 8)).unwrap();
    let mut spans: Vec<(u64, u64)> = tables
        .placed
        .iter()
        .map(|(at, bytes)| (*at, *at + bytes.len() as u64))
        .collect();
    spans.sort_unstable();
    assert!(
        spans.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "{spans:x?}"
    );
    assert!(
        spans.first().unwrap().0 >= layout::ACPI_START
            && spans.last().unwrap().1 <= layout::ACPI_END
    );
}

#[test]
fn given_the_fadt_then_it_is_hardware_reduced_and_names_the_power_block() {
    let fadt = Machine::new(&config(1, 0)).listed(b"FACP");
    assert_eq!((fadt.len(), fadt[8]), (276, 6));
    let flags = u32::from_le_bytes(fadt[112..116].try_into().unwrap());
    assert_eq!(flags & (1 << 20), 1 << 20, "HW_REDUCED_ACPI");
    assert_eq!(flags & (1 << 10), 1 << 10, "RESET_REG_SUP");
    assert_eq!(
        u16::from_le_bytes(fadt[109..111].try_into().unwrap()),
        0x24,
        "no VGA, no CMOS clock, no 8042"
    );
    // Space 1 (ports), 8 bits wide, byte access.
    assert_eq!(fadt[116..128], [1, 8, 0, 1, 0x02, 0x06, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fadt[128], 0x06);
    assert_eq!(fadt[244..256], [1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fadt[256..268], [1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn given_three_cpus_then_the_madt_is_byte_for_byte_what_it_should_be() {
    let madt = Machine::new(&config(3, 0)).listed(b"APIC");
    #[rustfmt::skip]
    let golden = [
        0x00, 0x00, 0xE0, 0xFE, 0, 0, 0, 0,
        0, 8, 0, 0, 1, 0, 0, 0,
        0, 8, 1, 1, 1, 0, 0, 0,
        0, 8, 2, 2, 1, 0, 0, 0,
        1, 12, 0, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0,
        2, 10, 0, 0, 2, 0, 0, 0, 0, 0,
        4, 6, 0xFF, 0, 0, 1,
    ];
    assert_eq!(madt[36..], golden);
}

#[test]
fn given_two_windows_then_the_dsdt_has_each_with_its_memory_and_edge_interrupt() {
    let dsdt = Machine::new(&config(1, 2)).dsdt();
    assert_eq!(
        dsdt.windows(9)
            .filter(|window| *window == b"LNRO0005\0")
            .count(),
        2
    );
    for (name, base, gsi) in [(b"VM00", 0xD000_0000_u32, 5_u32), (b"VM01", 0xD000_1000, 6)] {
        assert!(contains(&dsdt, name));
        // Memory32Fixed, read-write; then the extended interrupt descriptor: consumer, edge, active high, exclusive.
        let resources = [
            &[0x86, 9, 0, 1][..],
            &base.to_le_bytes(),
            &0x1000_u32.to_le_bytes(),
            &[0x89, 6, 0, 0b0011, 1],
            &gsi.to_le_bytes(),
        ]
        .concat();
        assert!(contains(&dsdt, &resources), "{gsi}");
    }
}

#[test]
fn given_the_dsdt_then_the_serial_port_and_s5_are_in_it() {
    let dsdt = Machine::new(&config(1, 0)).dsdt();
    // EISA id PNP0501, then port 0x3F8..=0x3F8, 8 ports, and interrupt 4.
    assert!(contains(&dsdt, &[0x0C, 0x41, 0xD0, 0x05, 0x01]));
    assert!(contains(
        &dsdt,
        &[
            0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8, 0x89, 6, 0, 0b0011, 1, 4, 0, 0, 0
        ]
    ));
    // Name (_S5_, Package (4) { 5, 0, 0, 0 })
    assert!(contains(
        &dsdt,
        &[
            0x08, b'_', b'S', b'5', b'_', 0x12, 0x07, 4, 0x0A, 5, 0, 0, 0
        ]
    ));
    assert!(!contains(&dsdt, b"LNRO0005"));
}

#[test]
fn given_iasl_on_this_machine_then_it_finds_no_error_in_the_dsdt() {
    let directory = std::env::temp_dir().join(format!("rondo-iasl-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("dsdt.aml");
    std::fs::write(&file, Machine::new(&config(4, 8)).dsdt()).unwrap();
    let run = std::process::Command::new("iasl")
        .arg("-d")
        .arg(&file)
        .output();
    let outcome = match run {
        Ok(output) => {
            let listing = std::fs::read_to_string(directory.join("dsdt.dsl")).unwrap_or_default();
            Some((output.status.success(), listing))
        }
        Err(_) => None,
    };
    std::fs::remove_dir_all(&directory).unwrap();
    match outcome {
        None => eprintln!("NOT TESTED: no iasl on this machine (Debian package acpica-tools)"),
        Some((success, listing)) => {
            assert!(success);
            assert_eq!(listing.matches("LNRO0005").count(), 8, "{listing}");
        }
    }
}
