// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who is at the other end of the control socket, as the kernel says (`unix(7)`, `SO_PEERCRED`).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Whether the peer is the user whom this process runs for, or root.
pub fn may_ask(stream: &UnixStream) -> bool {
    const ROOT: libc::uid_t = 0;
    // SAFETY: the call takes nothing and cannot fail.
    let own = unsafe { libc::geteuid() };
    match peer(stream) {
        Ok(uid) if uid == own || uid == ROOT => true,
        Ok(uid) => {
            log::debug!("user {uid} may not control this rondo");
            false
        }
        Err(error) => {
            log::debug!("nobody knows who asks: {error}");
            false
        }
    }
}

/// The user whom the peer ran for when it connected.
fn peer(stream: &UnixStream) -> io::Result<libc::uid_t> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: libc::uid_t::MAX,
        gid: libc::gid_t::MAX,
    };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: the kernel writes `length` bytes at most to the pointer, which is to a live structure of that size, and keeps no
    // pointer to it.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(credentials.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_who_listens_may_ask() {
        let (one, other) = UnixStream::pair().expect("the host has sockets");
        assert!(may_ask(&one) && may_ask(&other));
    }

    #[test]
    fn a_file_that_is_no_socket_tells_nobody_and_is_refused() {
        let file = tempfile::tempfile().expect("a temporary file");
        let stream = UnixStream::from(std::os::fd::OwnedFd::from(file));
        assert!(!may_ask(&stream));
    }
}
