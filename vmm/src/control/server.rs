// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The listening side: a thread that turns lines into requests for the main loop, and its answers into lines.

use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::peer::may_ask;
use super::{Answer, PATIENCE, Request, read_line};

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Pending {
    /// What is asked.
    pub request: Request,
    reply: SyncSender<Answer>,
}

impl Pending {
    /// Gives the answer. Somebody who no longer waits does not get it.
    pub fn answer(self, answer: Answer) {
        let _ = self.reply.send(answer);
    }
}

/// Listens until it is dropped, and then leaves no socket behind.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    requests: Option<Receiver<Pending>>,
    arrived: EventFd,
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is doing, for whoever wants it to end.
#[derive(Debug, Default)]
struct Line {
    stopping: AtomicBool,
    /// The connection that is being served.
    current: Mutex<Option<UnixStream>>,
}

impl Line {
    /// Takes a connection in hand, unless it is time to end.
    fn take_up(&self, stream: &UnixStream) -> bool {
        let mut current = self.current();
        *current = stream.try_clone().ok();
        !self.stopping.load(Ordering::Acquire)
    }

    /// Lets nobody's silence hold up the end.
    fn end(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(stream) = &*self.current() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<UnixStream>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ControlServer {
    /// Listens at `path`, for the user who started it only.
    ///
    /// # Errors
    /// The socket is there already, or cannot be made.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let server = |path: &Path| -> io::Result<Self> {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            let arrived = EventFd::new(EFD_NONBLOCK)?;
            let notify = arrived.try_clone()?;
            let line = Arc::new(Line::default());
            let served = Arc::clone(&line);
            let (sender, requests) = mpsc::channel();
            let thread = std::thread::Builder::new()
                .name("control".to_owned())
                .spawn(move || serve(&listener, &sender, &notify, &served))?;
            Ok(Self {
                path: path.to_owned(),
                requests: Some(requests),
                arrived,
                line,
                thread: Some(thread),
            })
        };
        server(path).inspect_err(|_| drop(fs::remove_file(path)))
    }

    /// Readable when a request has arrived.
    #[must_use]
    pub fn arrived(&self) -> &EventFd {
        &self.arrived
    }

    /// The next request, if there is one.
    pub fn next(&self) -> Option<Pending> {
        self.requests.as_ref()?.try_recv().ok()
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // The thread waits for an answer, which nobody will give; or for a client's bytes; or for a connection, of which an
        // empty one lets it see that it should end.
        self.requests = None;
        self.line.end();
        let woken = UnixStream::connect(&self.path).is_ok();
        let _ = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join();
        }
    }
}

/// Serves one connection after the other, until it is told to end.
fn serve(listener: &UnixListener, requests: &Sender<Pending>, notify: &EventFd, line: &Line) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else {
            continue;
        };
        if !line.take_up(&stream) {
            return;
        }
        if !may_ask(&stream) {
            // The socket's mode keeps others out, apart from the moment before it was set.
            continue;
        }
        let (reply, answers) = mpsc::sync_channel(1);
        let answer = match read_request(&stream) {
            Ok(request) => {
                if requests.send(Pending { request, reply }).is_err() {
                    return;
                }
                if let Err(error) = notify.write(1) {
                    log::warn!("a control request may be late: {error}");
                }
                match answers.recv_timeout(PATIENCE) {
                    Ok(answer) => answer,
                    Err(_) => Answer::Refused("rondo is too busy to answer".to_owned()),
                }
            }
            Err(why) => Answer::Refused(why),
        };
        if let Ok(mut line) = serde_json::to_string(&answer) {
            line.push('\n');
            let _ = stream.write_all(line.as_bytes());
        }
    }
}

fn read_request(stream: &UnixStream) -> Result<Request, String> {
    let line = stream
        .set_write_timeout(Some(PATIENCE))
        .and_then(|()| read_line(stream))
        .map_err(|error| format!("the request cannot be read: {error}"))?;
    serde_json::from_str(&line).map_err(|error| format!("the request is not understood: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::{Answer, Request, ask};
    use super::*;

    #[test]
    fn a_request_gets_its_answer_and_the_socket_is_gone_at_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rondo.sock");
        let server = ControlServer::listen(&path).expect("the folder is ours");
        let asker = {
            let path = path.clone();
            std::thread::spawn(move || {
                ask(
                    &path,
                    &Request::Guarantee {
                        vm: None,
                        ppm: 250_000,
                    },
                )
            })
        };
        let pending = loop {
            match server.next() {
                Some(pending) => break pending,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(
            pending.request,
            Request::Guarantee {
                vm: None,
                ppm: 250_000
            }
        );
        pending.answer(Answer::Refused("too much".to_owned()));
        let answer = asker.join().expect("no panic");
        assert_eq!(answer, Ok(Answer::Refused("too much".to_owned())));
        drop(server);
        assert!(!path.exists());
    }

    #[test]
    fn rubbish_is_refused_and_the_next_request_is_served() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rondo.sock");
        let _server = ControlServer::listen(&path).expect("the folder is ours");
        for rubbish in [&b"{}\n"[..], b"\xff\xfe\n", b"\n", b"{\"launch\":1}\n"] {
            let mut stream = UnixStream::connect(&path).expect("it listens");
            stream.write_all(rubbish).expect("it reads");
            let line = read_line(&stream).expect("it answers");
            assert!(line.contains("refused"), "{rubbish:?}: {line}");
        }
    }

    #[test]
    fn a_client_that_says_nothing_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rondo.sock");
        let server = ControlServer::listen(&path).expect("the folder is ours");
        let mut silent = UnixStream::connect(&path).expect("it listens");
        while server.line.current().is_none() {
            std::thread::yield_now();
        }
        drop(server);
        // Served to the end: the connection is shut, not timed out.
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).expect("it is shut");
    }

    #[test]
    fn a_place_that_is_taken_is_an_error_and_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "precious").expect("written");
        assert!(ControlServer::listen(&path).is_err());
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    }

    #[test]
    fn nobody_listening_is_one_sentence_with_a_remedy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = ask(&folder.path().join("none"), &Request::Report).expect_err("nobody");
        assert!(message.contains("--control"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
