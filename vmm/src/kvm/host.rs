// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the host's processor can do for KVM.

use std::sync::OnceLock;

/// Whether this host's KVM has no hardware virtualisation under it and must interpret a guest's kernel: it runs small guest
/// programs, but no stock Linux kernel. True when the processor shows neither `vmx` nor `svm`.
#[must_use]
pub fn interprets_kernels() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| !has_extension(&text))
    })
}

fn has_extension(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_flags_of_a_processor_then_vmx_or_svm_is_found_as_a_whole_word() {
        assert!(has_extension("processor : 0\nflags\t\t: fpu vmx sse\n"));
        assert!(has_extension("flags : fpu svm"));
        assert!(!has_extension(
            "flags : fpu vmxoff svm_lock\nbugs : svm vmx\n"
        ));
    }
}
