// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The terminal that the guest's console borrows: raw while the guest runs, as it was on every way out.

use std::io;
use std::sync::Mutex;

use vmm_sys_util::terminal::Terminal;

/// The settings to go back to, while the terminal is raw. Process-wide, as the terminal is, so that a panic can restore
/// it from whichever thread it happens on.
static BORROWED: Mutex<Option<libc::termios>> = Mutex::new(None);

/// Standard input in raw mode for as long as this lives.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Puts standard input into raw mode, if it is a terminal in the foreground; `None` if it is not.
    ///
    /// # Errors
    /// The terminal's settings cannot be read or changed.
    pub fn borrow() -> io::Result<Option<Self>> {
        let Some(settings) = stdin_settings()? else {
            return Ok(None);
        };
        io::stdin().lock().set_raw_mode()?;
        *BORROWED.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(settings);
        Ok(Some(Self(())))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was, if it is borrowed. Does nothing the second time. For panic hooks.
pub fn restore() {
    let settings = BORROWED
        .lock()
        .unwrap_or_else(|poison| poison.into_inner())
        .take();
    if let Some(settings) = settings {
        set_stdin_settings(&settings);
    }
}

#[allow(unsafe_code)]
fn stdin_settings() -> io::Result<Option<libc::termios>> {
    // SAFETY: isatty, tcgetpgrp and getpgrp take no pointers. Reading settings is done only for a terminal.
    let in_foreground = unsafe {
        libc::isatty(libc::STDIN_FILENO) == 1
            && libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp()
    };
    if !in_foreground {
        return Ok(None);
    }
    let mut settings = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the pointer is to memory of the right type; it is read below only if the call filled it.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: tcgetattr succeeded, so that it filled the structure.
    Ok(Some(unsafe { settings.assume_init() }))
}

#[allow(unsafe_code)]
fn set_stdin_settings(settings: &libc::termios) {
    // SAFETY: the reference is to initialized settings that tcgetattr gave; failure leaves the terminal as it is, and
    // there is nobody left to tell.
    unsafe {
        libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings);
    }
}
