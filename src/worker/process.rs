//! One worker process, from the agent's side.

use super::protocol::{MAX_FRAME, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair,
};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a wait for the worker looks whether the agent is shutting down.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How long a killed worker may take to die before it is left behind. Longer only if the kernel holds it,
/// in a read from a file system that does not answer.
const DEATH: Duration = Duration::from_secs(1);

/// How a job went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer before the deadline.
    Hung {
        /// The worker had taken the job.
        started: bool,
    },
    /// The worker died, closed the socket, or sent nonsense.
    Died {
        /// The worker had taken the job.
        started: bool,
    },
    /// The agent is shutting down.
    Stopped,
}

impl Failure {
    /// Whether the job, and not something else, is to blame.
    pub(super) fn is_of_job(self) -> bool {
        matches!(self, Self::Hung { started: true } | Self::Died { started: true })
    }
}

/// A running worker and the agent's end of its socket.
pub(super) struct WorkerProcess {
    child: Child,
    socket: OwnedFd,
}

impl WorkerProcess {
    /// Starts a worker. It dies with the thread that calls this.
    pub(super) fn spawn(program: &Path) -> io::Result<Self> {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let child = Command::new(program)
            .arg0("parca-agent")
            .arg("worker")
            .env_clear()
            // Ctrl-C in a terminal goes to the agent alone, which ends the worker when it is done.
            .process_group(0)
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Self { child, socket })
    }

    /// The process's id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives the worker one job and waits for the whole reply. `stopped` is asked from time to time whether
    /// to give up.
    pub(super) fn call(
        &self,
        request: &Request,
        file: BorrowedFd<'_>,
        deadline: Instant,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Reply, Failure> {
        let mut reply = Reply::new(request);
        if self.send(request, file).is_err() {
            return Err(Failure::Died { started: false });
        }
        let mut packet = [0; MAX_FRAME + 1];
        loop {
            let started = reply.started();
            self.wait(deadline, started, stopped)?;
            let length = match recv(&self.socket, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((_, length)) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(_) => 0,
            };
            // Nothing is the end of the socket; what fills the buffer is longer than any frame.
            match packet.get(..length).filter(|packet| (1..=MAX_FRAME).contains(&packet.len())) {
                Some(packet) => {
                    if reply.add(packet).map_err(|_| Failure::Died { started })? {
                        return Ok(reply);
                    }
                }
                None => return Err(Failure::Died { started }),
            }
        }
    }

    fn send(&self, request: &Request, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let bytes = request.encode();
        let files = [file];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        // A worker takes one request at a time, so the socket has room unless it is stuck.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, flags).map(|_| ())
    }

    /// Returns when there is something to receive.
    fn wait(&self, deadline: Instant, started: bool, stopped: &dyn Fn() -> bool) -> Result<(), Failure> {
        loop {
            if stopped() {
                return Err(Failure::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Hung { started });
            }
            let timeout = Timespec::try_from(left.min(LOOK_UP)).ok();
            let mut waited = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
            match poll(&mut waited, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                // An error of poll itself shows up again at the receive.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    /// Kills the worker. Gives its process back if the kernel does not let it die.
    pub(super) fn kill(mut self) -> Option<Child> {
        // It may be dead already.
        let _ = self.child.kill();
        let started = Instant::now();
        while started.elapsed() < DEATH {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                // An error means that there is no such child, so nothing is left to reap.
                Ok(Some(_)) | Err(_) => return None,
            }
        }
        Some(self.child)
    }
}
