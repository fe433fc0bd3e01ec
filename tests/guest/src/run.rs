// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! From the boot record to the end: read the machine and the command line, find the GPU, do what was asked, end.
#![allow(unsafe_code)]

use core::fmt;

use rondo_protocol::{Feature, ScanoutId};

use crate::boot::{self, BootError, BootRecord, COMMAND_LINE_MAX, Machine};
use crate::command_line::{BadOption, Exit, Mode, Options};
use crate::gpu::{GPU_DEVICE_ID, Gpu};
use crate::gpu_error::GpuError;
use crate::memory::FreeMemory;
use crate::mmio::Transport;
use crate::tsc::Frequency;
use crate::{command_load, draw, power, processors, report};

/// Why the guest could not do what it was asked.
enum Failure<'a> {
    Boot(BootError),
    CommandLine(BadOption<'a>),
    NotText,
    Gpu(GpuError),
    Processors { expected: u32, running: u32 },
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot(error) => error.fmt(f),
            Self::CommandLine(error) => error.fmt(f),
            Self::NotText => write!(f, "command-line-is-not-utf8"),
            Self::Gpu(error) => error.fmt(f),
            Self::Processors { expected, running } => write!(
                f,
                "processors-missing expected={expected} running={running}"
            ),
        }
    }
}

impl From<GpuError> for Failure<'_> {
    fn from(error: GpuError) -> Self {
        Self::Gpu(error)
    }
}

/// The whole program. Called once, by the boot stub.
pub fn run(record: &BootRecord) -> ! {
    let mut text = [0; COMMAND_LINE_MAX];
    let mut exit = Exit::I8042;
    // SAFETY: the stub stored what the VMM passed, and has set up the identity mapping.
    let result = unsafe { boot::read_machine(record, &mut text) }
        .map_err(Failure::Boot)
        .and_then(|machine| obey(record, &machine, &text, &mut exit));
    if let Err(failure) = result {
        report!("error={failure}");
    }
    power::end(exit)
}

fn obey<'a>(
    record: &BootRecord,
    machine: &Machine,
    text: &'a [u8],
    exit: &mut Exit,
) -> Result<(), Failure<'a>> {
    let line = text.get(..machine.command_line_len).unwrap_or_default();
    let line = core::str::from_utf8(line).map_err(|_| Failure::NotText)?;
    let options = Options::parse(line).map_err(Failure::CommandLine)?;
    *exit = options.exit;
    let clock = Frequency::from_record(record);
    // SAFETY: RAM behind the image, by the VMM's own map; the start info and the command line have been read.
    let mut memory = unsafe { FreeMemory::new(record.image_end, machine.ram_end) };

    if options.cpus > 1 {
        // SAFETY: the low page is RAM on every PC-like machine, and what the VMM put there has been read.
        let running = unsafe { processors::start(options.cpus, clock) };
        report!("cpus={running}");
        if running != options.cpus {
            return Err(Failure::Processors {
                expected: options.cpus,
                running,
            });
        }
    }
    if options.mode == Mode::Probe {
        report!(
            "ram={} free={} khz={} clock={}",
            machine.ram_total,
            machine.ram_end - record.image_end,
            clock.khz,
            clock.source
        );
    }
    let transport = find_gpu(&options)?;
    if options.mode == Mode::Reset {
        return Ok(draw::reset(
            transport,
            &options,
            clock,
            record.entry_tsc,
            &mut memory,
        )?);
    }
    let mut gpu = Gpu::new(transport, &options, clock, &mut memory)?;
    match options.mode {
        Mode::Draw | Mode::Reset => {
            draw::draw(&mut gpu, &options, clock, record.entry_tsc, &mut memory)?
        }
        Mode::Commands => command_load::batches(&mut gpu, &options, clock)?,
        Mode::RoundTrip => command_load::round_trips(&mut gpu, &options, clock)?,
        Mode::Probe => describe(&mut gpu)?,
    }
    Ok(())
}

/// The first virtio-gpu among the devices that the command line names.
fn find_gpu(options: &Options<'_>) -> Result<Transport, GpuError> {
    let mut first_error = None;
    for device in options.devices() {
        let found = Transport::probe(device);
        if options.mode == Mode::Probe {
            match found {
                Ok(Some((_, id))) => {
                    report!("device base={:#x} irq={} id={id}", device.base, device.irq)
                }
                Ok(None) => {}
                Err(error) => report!(
                    "device base={:#x} irq={} problem={error}",
                    device.base,
                    device.irq
                ),
            }
        }
        match found {
            Ok(Some((transport, GPU_DEVICE_ID))) => return Ok(transport),
            Ok(_) => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(match first_error {
        Some(error) => GpuError::Transport(error),
        None => GpuError::NoDevice {
            looked_at: options.devices().len(),
        },
    })
}

/// `mode=probe`: reports what the device is.
fn describe(gpu: &mut Gpu) -> Result<(), GpuError> {
    report!(
        "gpu base={:#x} offered={:#x} negotiated={:#x} queue={} scanouts={} capsets={}",
        gpu.transport().base(),
        gpu.transport().offered_features(),
        gpu.features(),
        gpu.control().size(),
        gpu.scanouts(),
        gpu.capsets()
    );
    let info = gpu.display_info()?;
    for (scanout, mode) in (0..).map_while(ScanoutId::new).zip(info.modes) {
        if !mode.enabled {
            continue;
        }
        let rect = mode.rect;
        report!(
            "scanout={scanout} x={} y={} width={} height={}",
            rect.x,
            rect.y,
            rect.width,
            rect.height
        );
        if Feature::Edid.is_in(gpu.features()) {
            let edid = gpu.edid(scanout)?;
            let (width, height) = edid.preferred;
            report!(
                "edid scanout={scanout} bytes={} valid={} width={width} height={height}",
                edid.len,
                u8::from(edid.valid)
            );
        }
    }
    Ok(())
}
