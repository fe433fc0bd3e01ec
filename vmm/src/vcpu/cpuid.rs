// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What `CPUID` shows each vCPU: the host's features that KVM can give, and a topology of one package with one core per vCPU
//! and one thread per core.
//!
//! Leaf numbers and fields: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use crate::kvm::{Hypervisor, KvmError};

const LEAF_FEATURES: u32 = 0x1;
const LEAF_CACHES: u32 = 0x4;
const LEAF_TOPOLOGY: u32 = 0xB;
const LEAF_TOPOLOGY_V2: u32 = 0x1F;
const LEAF_AMD_FEATURES: u32 = 0x8000_0001;
const LEAF_AMD_SIZES: u32 = 0x8000_0008;
const LEAF_AMD_CACHES: u32 = 0x8000_001D;
const LEAF_AMD_TOPOLOGY: u32 = 0x8000_001E;

/// 8 units of 8 bytes: a 64-byte cache line for CLFLUSH.
const CLFLUSH_UNITS: u32 = 8;
const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_HYPERVISOR: u32 = 1 << 31;
const EDX_MULTI_THREADED: u32 = 1 << 28;
const ECX_AMD_CMP_LEGACY: u32 = 1 << 1;

/// Number of APIC id bits that tell the cores of one package apart.
fn core_bits(cpus: u8) -> u32 {
    u32::from(cpus.max(1)).next_power_of_two().trailing_zeros()
}

/// The CPUID of vCPU `index` of `cpus`.
pub fn guest_cpuid(
    hypervisor: &Hypervisor,
    supported: &CpuId,
    index: u8,
    cpus: u8,
) -> Result<CpuId, KvmError> {
    let deadline = hypervisor.has_tsc_deadline();
    let mut entries: Vec<kvm_cpuid_entry2> = supported.as_slice().to_vec();
    // KVM lists the sub-leaves of the topology leaves that the host has; a guest gets exactly two and the terminator.
    let mut topology_leaves: Vec<u32> = entries.iter().map(|entry| entry.function).collect();
    topology_leaves.retain(|leaf| matches!(*leaf, LEAF_TOPOLOGY | LEAF_TOPOLOGY_V2));
    topology_leaves.dedup();
    entries.retain(|entry| !topology_leaves.contains(&entry.function));
    for entry in &mut entries {
        describe(entry, index, cpus, deadline);
    }
    for leaf in topology_leaves {
        entries.extend(topology(leaf, index, cpus));
    }
    CpuId::from_entries(&entries).map_err(|_| KvmError::Request {
        action: "take the processor's features: there are too many",
        source: std::io::Error::from_raw_os_error(libc::E2BIG),
    })
}

fn describe(entry: &mut kvm_cpuid_entry2, index: u8, cpus: u8, deadline: bool) {
    let apic_id = u32::from(index);
    let count = u32::from(cpus);
    match entry.function {
        LEAF_FEATURES => {
            let logical = if cpus > 1 { 1 << core_bits(cpus) } else { 1 };
            entry.ebx =
                (entry.ebx & 0xFF) | (CLFLUSH_UNITS << 8) | (logical << 16) | (apic_id << 24);
            entry.ecx |= ECX_HYPERVISOR;
            if deadline {
                entry.ecx |= ECX_TSC_DEADLINE;
            }
            if cpus > 1 {
                entry.edx |= EDX_MULTI_THREADED;
            } else {
                entry.edx &= !EDX_MULTI_THREADED;
            }
        }
        // EAX bits 4:0 are the type of cache, 0 for the end of the list. The last level is shared by the package, the others by
        // one core.
        LEAF_CACHES if entry.eax & 0x1F != 0 => {
            let level = (entry.eax >> 5) & 0x7;
            let cores = (1 << core_bits(cpus)) - 1;
            let sharing = if level >= 3 { cores } else { 0 };
            entry.eax = (entry.eax & 0x3FFF) | (sharing << 14) | (cores << 26);
        }
        LEAF_AMD_FEATURES => {
            if cpus > 1 {
                entry.ecx |= ECX_AMD_CMP_LEGACY;
            } else {
                entry.ecx &= !ECX_AMD_CMP_LEGACY;
            }
        }
        LEAF_AMD_SIZES => entry.ecx = (entry.ecx & !0xF0FF) | (count - 1) | (core_bits(cpus) << 12),
        LEAF_AMD_CACHES if entry.eax & 0x1F != 0 => {
            let level = (entry.eax >> 5) & 0x7;
            let sharing = if level >= 3 { count - 1 } else { 0 };
            entry.eax = (entry.eax & 0x3FFF) | (sharing << 14);
        }
        LEAF_AMD_TOPOLOGY => {
            entry.eax = apic_id;
            entry.ebx = (entry.ebx & !0xFFFF) | apic_id;
            entry.ecx = 0;
        }
        _ => {}
    }
}

/// The three sub-leaves of an extended topology leaf: one thread per core, all cores in the package, end.
fn topology(leaf: u32, index: u8, cpus: u8) -> [kvm_cpuid_entry2; 3] {
    const TYPE_THREADS: u32 = 1 << 8;
    const TYPE_CORES: u32 = 2 << 8;
    let level = |sub_leaf: u32, shift: u32, count: u32, kind: u32| kvm_cpuid_entry2 {
        function: leaf,
        index: sub_leaf,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: count,
        ecx: sub_leaf | kind,
        edx: u32::from(index),
        ..kvm_cpuid_entry2::default()
    };
    [
        level(0, 0, 1, TYPE_THREADS),
        level(1, core_bits(cpus), cpus.into(), TYPE_CORES),
        level(2, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(function: u32, eax: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 {
            function,
            eax,
            ..kvm_cpuid_entry2::default()
        }
    }

    #[test]
    fn given_cpu_counts_then_the_core_bits_of_the_apic_id_hold_them_all() {
        let bits: Vec<u32> = [1, 2, 3, 4, 5, 8, 9, 32].map(core_bits).into();
        assert_eq!(bits, [0, 1, 2, 2, 3, 3, 4, 5]);
    }

    #[test]
    fn given_the_third_of_four_vcpus_then_leaf_1_has_its_apic_id_and_the_hypervisor_bit() {
        let mut features = entry(LEAF_FEATURES, 0);
        describe(&mut features, 2, 4, true);
        assert_eq!(features.ebx, 0x0204_0800);
        assert_eq!(features.ecx, ECX_HYPERVISOR | ECX_TSC_DEADLINE);
        assert_eq!(features.edx, EDX_MULTI_THREADED);
    }

    #[test]
    fn given_one_vcpu_then_it_is_not_multi_threaded_whatever_the_host_is() {
        let mut features = kvm_cpuid_entry2 {
            edx: u32::MAX,
            ..entry(LEAF_FEATURES, 0)
        };
        describe(&mut features, 0, 1, false);
        assert_eq!(features.edx & EDX_MULTI_THREADED, 0);
        assert_eq!((features.ebx >> 16) & 0xFF, 1);
        assert_eq!(features.ecx & ECX_TSC_DEADLINE, 0);
    }

    #[test]
    fn given_six_vcpus_then_the_topology_leaves_agree_on_one_package() {
        let levels = topology(LEAF_TOPOLOGY, 5, 6);
        assert_eq!(levels.map(|level| level.eax), [0, 3, 0]);
        assert_eq!(levels.map(|level| level.ebx), [1, 6, 0]);
        assert_eq!(levels.map(|level| level.ecx), [0x100, 0x201, 2]);
        assert!(levels.iter().all(|level| level.edx == 5));
        let mut last_level = entry(LEAF_CACHES, 0x163);
        describe(&mut last_level, 5, 6, true);
        assert_eq!(last_level.eax >> 14, (7 << 12) | 7);
        let mut sizes = kvm_cpuid_entry2 {
            ecx: 0xFFFF,
            ..entry(LEAF_AMD_SIZES, 0)
        };
        describe(&mut sizes, 5, 6, true);
        assert_eq!(sizes.ecx, 0x0F00 | 5 | (3 << 12));
    }

    #[test]
    fn given_this_hosts_kvm_then_every_vcpu_gets_a_table_with_the_kvm_leaves() {
        let Ok(hypervisor) = Hypervisor::open() else {
            eprintln!("NOT TESTED: no usable /dev/kvm on this machine");
            return;
        };
        let supported = hypervisor.supported_cpuid().unwrap();
        for index in 0..4 {
            let table = guest_cpuid(&hypervisor, &supported, index, 4).unwrap();
            let features = table
                .as_slice()
                .iter()
                .find(|entry| entry.function == LEAF_FEATURES)
                .unwrap();
            assert_eq!(features.ebx >> 24, u32::from(index));
            let signature = table
                .as_slice()
                .iter()
                .find(|entry| entry.function == 0x4000_0000)
                .unwrap();
            assert_eq!(signature.ebx.to_le_bytes(), *b"KVMK");
        }
    }
}
