// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The bare-metal guest: a PVH kernel in Rust that drives a virtio-gpu, as the only program of a virtual machine.
//!
//! It stands in for an operating system where one would be too slow, too large or too vague: device tests end to end, GPU contention between VMs,
//! `rondo demo`, and benchmarks against other VMMs, which boot the very same file. `rondo` carries it inside (`cargo build -p rondo` builds it);
//! with QEMU: `qemu-system-x86_64 -M microvm,accel=kvm,acpi=off -cpu host -m 64 -nodefaults -display none -vga none -no-reboot -serial stdio
//! -global virtio-mmio.force-legacy=false -device virtio-gpu-device -kernel rondo-guest -append "name=red seconds=5"`
//! (`acpi=off`, since QEMU names its devices on the command line only then; where KVM refuses MSR 0x10a, `-cpu host,-arch-capabilities`).
//!
//! The stub (`boot.s`) enters long mode with the first 4 GiB identity mapped and goes to CPL 3 at once, where even a KVM that can only interpret kernels
//! runs code natively. From there the program polls: no interrupts, no system calls, no second thread.
//!
//! # The command line
//!
//! Words `key=value`; words with other keys are passed over.
//!
//! | Word | Default | Meaning |
//! |---|---|---|
//! | `virtio_mmio.device=SIZE@BASE:IRQ` | none | Where a virtio-mmio device is, as in Linux; up to 32; the first GPU is driven |
//! | `mode=draw` | yes | Draw frames |
//! | `mode=commands` | | Send GET_DISPLAY_INFO in batches of `batch=`, one notification each |
//! | `mode=roundtrip` | | Send GET_DISPLAY_INFO one at a time, report the latency |
//! | `mode=probe` | | Report machine, devices, features, displays, EDID |
//! | `mode=reset` | | Draw `frames=` (10), reset the device, `resets=` times (3; every other time with commands in flight), then draw once more |
//! | `name=` | `guest` | Shown large; the colour follows from it (`red`, `green`, `blue`, `yellow`, `orange`, `purple` are what they say) |
//! | `width=`, `height=` | the display's | Size of the frame, 1 to 16384 |
//! | `frames=` | 0 | How many frames; 0 is without end |
//! | `commands=` | 10000, or 0 with `seconds=` | How many commands in the command modes; 0 is without end |
//! | `seconds=` | 0 | Stop after so long; 0 is never |
//! | `damage=full\|partial` | `full` | Transfer and flush the whole frame, or only what changed |
//! | `batch=` | 2 | Commands per notification, 1 to 256 |
//! | `depth=` | 8 | Frames in flight, 1 to 64 |
//! | `burst_ms=`, `idle_ms=` | 0 | Work so long, then rest so long, again and again |
//! | `repaint_ms=` | 0 | With `damage=full`: draw a new picture at most so often, and send the old one again in between |
//! | `backing=contiguous\|scattered` | `contiguous` | One piece of memory, or 4 KiB pieces in reverse order |
//! | `blob=0\|1` | 0 | The frame is a guest blob: no transfers |
//! | `cursor=0\|1` | 0 | Show a cursor and move it with each frame |
//! | `pattern=demo\|test` | `demo` | The picture for people, or [`pattern`], of which every pixel is known |
//! | `indirect=0\|1` | 1 | Use INDIRECT_DESC where offered |
//! | `event_idx=0\|1` | 0 | Use EVENT_IDX where offered |
//! | `cpus=` | 1 | Start the other processors and expect so many in all, 1 to 32 |
//! | `exit=i8042\|acpi:PORT\|triple\|halt` | `i8042` | How to end: keyboard-controller reset, S5 through hardware-reduced ACPI's sleep control register at this hexadecimal port, triple fault, or never. What does not end the VM is followed by a triple fault |
//!
//! # The line protocol
//!
//! COM1 carries lines `rondo-guest: key=value ...`. In the order in which they can come:
//!
//! | Line | Meaning |
//! |---|---|
//! | `cpus=N` | So many processors ran (only with `cpus=` above 1) |
//! | `ram= free= khz= clock=` | `mode=probe`: bytes of RAM, bytes free, the TSC's kHz and who said so (`cpuid-40000010`, `cpuid-15`, `pvclock`, `unknown`) |
//! | `device base= irq= id=` | `mode=probe`: a device; `problem=` instead of `id=` where it is unusable |
//! | `gpu base= offered= negotiated= queue= scanouts= capsets=` | `mode=probe` |
//! | `scanout= x= y= width= height=` | `mode=probe`: an enabled display |
//! | `edid scanout= bytes= valid= width= height=` | `mode=probe`: its EDID and preferred size |
//! | `reset=K frames= in_flight=` | `mode=reset`: the K-th reset is done; so many commands were in flight |
//! | `first-frame ticks= driver= scanout= drawn= khz= clock=` | Frame 0 is on the display; ticks since the entry, and when the driver was ready, the scanout was set and the frame was drawn |
//! | `ready name= width= height= features= queue=` | Drawing begins in earnest |
//! | `frames= commands= ticks= fps=` | The sum; ticks and frames a second without frame 0 |
//! | `commands= batch= ticks= khz= per_second=` | `mode=commands`: the sum |
//! | `roundtrips= p50= p99= max= khz=` | `mode=roundtrip`: the latency in ticks |
//! | `error=...` | What failed; the words after it say with which numbers |
//! | `bye` | The last line, after success and failure |
//!
//! After `frames=N` the display shows frame N - 1.
#![cfg_attr(not(test), no_std)]
// This program runs on x86-64 only, where `usize` has 64 bits; its numbers are its own, not a hostile party's.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

pub mod boot;
pub mod command_line;
pub mod command_load;
pub mod demo_picture;
pub mod draw;
pub mod edid;
pub mod font;
pub mod gpu;
pub mod gpu_error;
pub mod memory;
pub mod mmio;
pub mod pattern;
pub mod picture;
pub mod ports;
pub mod power;
pub mod processors;
pub mod queue;
pub mod run;
pub mod screen;
pub mod serial;
pub mod surface;
pub mod tsc;
