// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The terminal that the guest's console borrows: raw while the guest runs, as it was on every way out.

use std::io;
use std::sync::Mutex;

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
        set_stdin_settings(&raw(settings))?;
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
        // If it fails, the terminal stays as it is, and there is nobody left to tell.
        let _ = set_stdin_settings(&settings);
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

/// Every key reaches the guest as the byte that it is: nothing is edited, echoed, turned into a signal or translated, and
/// Ctrl-S does not stop the output. Output is left alone, for lines of our own log end with a line feed only.
fn raw(mut settings: libc::termios) -> libc::termios {
    settings.c_iflag &= !(libc::IGNBRK
        | libc::BRKINT
        | libc::PARMRK
        | libc::ISTRIP
        | libc::INLCR
        | libc::IGNCR
        | libc::ICRNL
        | libc::IXON);
    settings.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ECHONL | libc::ISIG | libc::IEXTEN);
    settings
}

#[allow(unsafe_code)]
fn set_stdin_settings(settings: &libc::termios) -> io::Result<()> {
    // SAFETY: the reference is to initialized settings that tcgetattr gave.
    match unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new terminal's settings.
    #[allow(unsafe_code)]
    fn fresh() -> (std::fs::File, libc::termios) {
        use std::os::fd::AsRawFd;
        let terminal = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/ptmx")
            .expect("a pseudo-terminal");
        let mut settings = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the pointer is to memory of the right type, which the call fills if it succeeds.
        let settings = unsafe {
            assert_eq!(
                libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()),
                0
            );
            settings.assume_init()
        };
        (terminal, settings)
    }

    #[test]
    fn in_raw_mode_no_key_is_taken_or_changed_and_output_is_as_before() {
        let (_terminal, before) = fresh();
        let takes = libc::ICRNL | libc::IXON;
        assert_eq!(before.c_iflag & takes, takes, "a terminal takes keys");
        let raw = raw(before);
        let input = takes | libc::INLCR | libc::IGNCR | libc::ISTRIP | libc::BRKINT | libc::PARMRK;
        assert_eq!(raw.c_iflag & input, 0);
        let local = libc::ICANON | libc::ECHO | libc::ISIG | libc::IEXTEN;
        assert_eq!(raw.c_lflag & local, 0);
        assert_eq!(raw.c_oflag, before.c_oflag);
        assert_eq!(raw.c_cflag, before.c_cflag);
    }
}
