# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# From the PVH entry (32-bit, paging off, EBX = start info) to Rust at CPL 3.
#
# Some KVMs (KVM-PVM without VMX/SVM below it) run CPL 3 natively but interpret CPL 0 instruction by instruction and know no
# SSE there. So this stub is short, its tables are filled in at assembly time, and everything else runs at CPL 3 with IOPL 3:
# port and memory-mapped I/O work from there, no system call and no interrupt is ever needed.

# The ELF note that carries the 32-bit entry point: name "Xen", type XEN_ELFNOTE_PHYS32_ENTRY (18).
    .section .note.pvh, "a", @note
    .p2align 2
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_entry

    .section .boot.text, "ax", @progbits
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    movl %ebx, boot_record
    rdtsc
    movl %eax, boot_record + 8
    movl %edx, boot_record + 12

    # CR4: PAE, and SSE for CPL 3 (OSFXSR, OSXMMEXCPT).
    movl %cr4, %eax
    orl $0x620, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    # EFER.LME.
    movl $0xc0000080, %ecx
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    # CR0: paging, protection, native FPU errors, MP; no emulation, no task switch, caches on.
    movl %cr0, %eax
    andl $0x9ffffff3, %eax
    orl $0x80000023, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $long_mode

    .code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_top, %esp

    # The task state segment: its address goes into the descriptor in three pieces.
    movl $boot_tss, %eax
    movw %ax, boot_gdt_tss + 2
    shrl $16, %eax
    movb %al, boot_gdt_tss + 4
    movb %ah, boot_gdt_tss + 7
    movq $boot_stack_top, %rax
    movq %rax, boot_tss + 4
    movl $0x28, %eax
    ltr %ax

    # What CPUID says about the TSC is asked here, at CPL 0, where the answer is the VMM's. (At CPL 3 it may be the host's.)
    xorl %eax, %eax
    cpuid
    cmpl $0x15, %eax
    jb 1f
    movl $0x15, %eax
    xorl %ecx, %ecx
    cpuid
    movl %eax, boot_record + 16
    movl %ebx, boot_record + 20
    movl %ecx, boot_record + 24
1:  movl $1, %eax
    cpuid
    testl $0x80000000, %ecx
    jz 3f
    movl $0x40000000, %eax
    cpuid
    cmpl $0x4b4d564b, %ebx          # "KVMK"
    jne 3f
    movl %eax, %esi
    cmpl $0x40000010, %esi
    jb 2f
    movl $0x40000010, %eax
    cpuid
    movl %eax, boot_record + 28
2:  movl $0x40000001, %eax
    cpuid
    testl $8, %eax                  # KVM_FEATURE_CLOCKSOURCE2
    jz 3f
    movl $0x4b564d01, %ecx          # MSR_KVM_SYSTEM_TIME_NEW
    movl $boot_pvclock, %eax
    orl $1, %eax
    xorl %edx, %edx
    wrmsr
    movq $boot_pvclock, boot_record + 32

3:  # To CPL 3: SS, RSP, RFLAGS with IOPL 3, CS, RIP.
    pushq $0x1b
    pushq $boot_stack_top
    pushq $0x3002
    pushq $0x23
    pushq $user_entry
    iretq

# From here on CPL 3: everything runs at full speed, SSE included.
user_entry:
    movl $0x1b, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $__bss_start, %edi
    movl $__bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    movl $boot_record, %edi
    call guest_main
    ud2

    .section .boot.data, "aw", @progbits
    .p2align 6
# struct BootRecord of boot.rs.
boot_record:
    .quad 0                         # +0  start info
    .quad 0                         # +8  TSC at entry
    .long 0, 0, 0                   # +16 CPUID 0x15: EAX, EBX, ECX
    .long 0                         # +28 CPUID 0x40000010: TSC frequency, kHz
    .quad 0                         # +32 address of the pvclock record, or 0
    .quad __image_start             # +40
    .quad __image_end               # +48
    .p2align 6
boot_pvclock:
    .fill 64, 1, 0
# CPL 3 may use every port twice over: by IOPL 3, and by a permission map of zeros, since KVM-PVM loses the IOPL at iretq.
    .p2align 4
boot_tss:
    .fill 102, 1, 0
    .word 104
    .fill 8192, 1, 0
    .byte 0xff
boot_tss_end:
    .p2align 4
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 0x08 code, CPL 0, 64-bit
    .quad 0x00cf93000000ffff        # 0x10 data, CPL 0
    .quad 0x00cff3000000ffff        # 0x18 data, CPL 3
    .quad 0x00affb000000ffff        # 0x20 code, CPL 3, 64-bit
boot_gdt_tss:
    .word boot_tss_end - boot_tss - 1
    .word 0, 0x8900, 0              # 0x28 available 64-bit TSS; its address is filled in
    .quad 0
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
    .long 0

# The first 4 GiB, identity mapped by 2 MiB pages that CPL 3 may read and write. (1 GiB pages would be fewer, but not every
# virtual CPU has them, and these cost nothing at run time.) Accessed and dirty are set beforehand.
    .section .boot.tables, "aw", @progbits
    .p2align 12
boot_pml4:
    .quad boot_pdpt + 0x27
    .fill 511, 8, 0
boot_pdpt:
    .quad boot_pd + 0x0027
    .quad boot_pd + 0x1027
    .quad boot_pd + 0x2027
    .quad boot_pd + 0x3027
    .fill 508, 8, 0
boot_pd:
    .set page, 0xe7
    .rept 2048
    .quad page
    .set page, page + 0x200000
    .endr

    .section .boot.stack, "aw", @nobits
    .p2align 12
    .fill 131072, 1, 0
boot_stack_top:
