// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `mode=draw` and `mode=reset`: frames, several in flight, in bursts or without rest.

use crate::command_line::{Damage, Options};
use crate::demo_picture;
use crate::gpu::Gpu;
use crate::gpu_error::GpuError;
use crate::memory::FreeMemory;
use crate::mmio::Transport;
use crate::picture::Picture;
use crate::report;
use crate::screen::{self, Screen};
use crate::tsc::{self, Frequency};

/// Frames between two resets when the command line says none.
const FRAMES_PER_RESET: u64 = 10;

/// A deadline in ticks from now; `None` when the option is off.
///
/// # Errors
/// [`GpuError::NoClock`] when it is on and nothing said how fast the TSC counts.
pub fn ticks(clock: Frequency, ms: u64) -> Result<Option<u64>, GpuError> {
    match ms {
        0 => Ok(None),
        ms => clock.ticks(ms).map(Some).ok_or(GpuError::NoClock),
    }
}

/// Draws as the command line says and reports the first frame and the sum.
///
/// # Errors
/// [`GpuError`].
pub fn draw(
    gpu: &mut Gpu,
    options: &Options<'_>,
    clock: Frequency,
    entry_tsc: u64,
    memory: &mut FreeMemory,
) -> Result<(), GpuError> {
    let (burst, idle) = (
        ticks(clock, options.burst_ms)?,
        ticks(clock, options.idle_ms)?,
    );
    let limit = ticks(clock, options.seconds.saturating_mul(1000))?;
    let repaint = ticks(clock, options.repaint_ms)?;

    let since_entry = || tsc::now().wrapping_sub(entry_tsc);
    let driver = since_entry();
    let mut screen = Screen::new(gpu, options, memory)?;
    let scanout = since_entry();
    let mut picture = Picture::new(options, &screen.surface);
    picture.draw(&mut screen.surface, 0);
    let drawn = since_entry();
    screen.present(gpu, &[screen.surface.whole()], 1)?;
    gpu.wait_for_all()?;
    report!(
        "first-frame ticks={} driver={driver} scanout={scanout} drawn={drawn} khz={} clock={}",
        since_entry(),
        clock.khz,
        clock.source
    );
    if options.cursor {
        screen::show_cursor(gpu, demo_picture::accent(options.name), memory)?;
    }
    report!(
        "ready name={} width={} height={} features={:#x} queue={}",
        options.name,
        screen.surface.width(),
        screen.surface.height(),
        gpu.features(),
        gpu.control().size()
    );

    let start = tsc::now();
    let commands_before = gpu.completed();
    let mut burst_start = start;
    let mut painted = start;
    let mut next = 1;
    while options.frames == 0 || next < options.frames {
        let now = tsc::now();
        if limit.is_some_and(|limit| now.wrapping_sub(start) >= limit) {
            break;
        }
        if let (Some(burst), Some(idle)) = (burst, idle)
            && now.wrapping_sub(burst_start) >= burst
        {
            gpu.wait_for_all()?;
            rest(idle);
            burst_start = tsc::now();
        }
        let repaint = match repaint {
            Some(period) if options.damage == Damage::Full => now.wrapping_sub(painted) >= period,
            _ => true,
        };
        if repaint {
            painted = now;
            frame(gpu, &mut screen, &mut picture, options, next)?;
        } else {
            screen.present(gpu, &[screen.surface.whole()], next + 1)?;
            gpu.poll()?;
        }
        // Frame n has fence n + 1. With `depth` frames in flight, wait for the oldest.
        let depth = u64::from(options.depth);
        if next + 1 >= gpu.completed_fence() + depth {
            gpu.wait_until(|gpu| next + 1 < gpu.completed_fence() + depth)?;
        }
        next += 1;
    }
    gpu.wait_for_all()?;
    let elapsed = tsc::now().wrapping_sub(start);
    report!(
        "frames={} commands={} ticks={} fps={}",
        next,
        gpu.completed() - commands_before,
        elapsed,
        per_second(next - 1, elapsed, clock)
    );
    Ok(())
}

/// Draws and submits one frame.
fn frame(
    gpu: &mut Gpu,
    screen: &mut Screen,
    picture: &mut Picture<'_>,
    options: &Options<'_>,
    number: u64,
) -> Result<(), GpuError> {
    let changed = picture.draw(&mut screen.surface, number);
    match options.damage {
        Damage::Full => screen.present(gpu, &[screen.surface.whole()], number + 1)?,
        Damage::Partial => screen.present(gpu, &changed, number + 1)?,
    }
    if options.cursor && number > 0 {
        screen::move_cursor(gpu, screen, number)?;
    }
    gpu.poll()
}

/// Does nothing for so many ticks.
fn rest(ticks: u64) {
    let start = tsc::now();
    while tsc::now().wrapping_sub(start) < ticks {
        core::hint::spin_loop();
    }
}

/// How many a second; 0 when the clock's frequency is unknown.
#[must_use]
pub fn per_second(count: u64, ticks: u64, clock: Frequency) -> u64 {
    let per_second = u128::from(count) * u128::from(clock.khz) * 1000;
    u64::try_from(per_second.checked_div(u128::from(ticks)).unwrap_or(0)).unwrap_or(u64::MAX)
}

/// `mode=reset`: draws, resets the device and begins again; every other time with commands in flight. At the end draws once more, to stay.
///
/// # Errors
/// [`GpuError`].
pub fn reset(
    transport: Transport,
    options: &Options<'_>,
    clock: Frequency,
    entry_tsc: u64,
    memory: &mut FreeMemory,
) -> Result<(), GpuError> {
    let mark = memory.mark();
    let per_reset = if options.frames == 0 {
        FRAMES_PER_RESET
    } else {
        options.frames
    };
    for round in 0..options.resets {
        let mut gpu = Gpu::new(transport, options, clock, memory)?;
        let mut screen = Screen::new(&mut gpu, options, memory)?;
        let mut picture = Picture::new(options, &screen.surface);
        for number in 0..per_reset {
            frame(&mut gpu, &mut screen, &mut picture, options, number)?;
        }
        if round % 2 == 0 {
            gpu.wait_for_all()?;
        } else {
            // Nobody takes the answers of these: the device is reset with them in its hands or in the ring.
            for extra in 0..u64::from(options.depth.min(u32::from(gpu.control().slot_count()) / 4))
            {
                screen.present(&mut gpu, &[screen.surface.whole()], per_reset + extra + 1)?;
            }
            gpu.notify();
        }
        let in_flight = gpu.control().in_flight();
        transport.reset()?;
        memory.give_back_to(mark);
        report!(
            "reset={} frames={} in_flight={}",
            round + 1,
            per_reset,
            in_flight
        );
    }
    let mut gpu = Gpu::new(transport, options, clock, memory)?;
    let mut last = *options;
    last.frames = per_reset;
    draw(&mut gpu, &last, clock, entry_tsc, memory)
}
