//! The worker's own side: one job after another until the agent closes the socket.

use super::extract::extract;
use super::extraction::encode_extraction;
use super::identify::identify;
use super::protocol::{self, JobKind, REQUEST_LENGTH, Request};
use super::read_at::TargetFile;
use super::sandbox;
use super::table::encode_table;
use crate::debuginfo::plan::NoExtraction;
use crate::object::Unidentified;
use crate::unwind::{self, NoTable};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use std::error::Error;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Exit code of a worker that could not give up its rights.
const NO_SANDBOX: u8 = 70;

/// The whole life of the worker: sandbox first, then jobs from the socket that is its standard input.
pub fn run() -> ExitCode {
    if let Err(error) = sandbox::enter() {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        // If nobody listens there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "worker: {error}: {cause}");
        return ExitCode::from(NO_SANDBOX);
    }
    let input = std::io::stdin();
    let socket = input.as_fd();
    while let Some((request, file)) = receive(socket) {
        let reply = answer(&request, file);
        if !deliver(socket, &request, reply) {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// The next request, and the file if one came with it. Nothing when the agent has gone, or speaks another
/// language: then there is nothing left to do here.
fn receive(socket: BorrowedFd<'_>) -> Option<(Request, Option<OwnedFd>)> {
    let mut bytes = [0; REQUEST_LENGTH];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let (length, file) = loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break (message.bytes, take_file(&mut control)),
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    };
    let request = Request::decode(bytes.get(..length)?).ok()?;
    send_all(socket, &protocol::started(request.id)).then_some((request, file))
}

fn take_file(control: &mut RecvAncillaryBuffer<'_>) -> Option<OwnedFd> {
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    })
}

fn answer(request: &Request, file: Option<OwnedFd>) -> Vec<u8> {
    let target = file.and_then(|file| TargetFile::new(file).ok());
    match request.kind {
        JobKind::Identify => {
            let target = target.ok_or(Unidentified::Malformed);
            protocol::encode_identified(&target.and_then(|target| identify(&target, request.limits.read)))
        }
        JobKind::Unwind => {
            let limits = unwind::Limits { section: request.limits.read, ..unwind::Limits::default() };
            let target = target.ok_or(NoTable::Malformed);
            encode_table(&target.and_then(|target| unwind::build(&target, &limits)))
        }
        JobKind::Extract => {
            let target = target.ok_or(NoExtraction::Malformed);
            encode_extraction(&target.and_then(|target| extract(&target)))
        }
    }
}

fn deliver(socket: BorrowedFd<'_>, request: &Request, reply: Vec<u8>) -> bool {
    protocol::frames(request.id, &reply).all(|frame| send_all(socket, &frame))
}

/// Sends one packet, waiting for room; false when the agent has gone.
fn send_all(socket: BorrowedFd<'_>, packet: &[u8]) -> bool {
    loop {
        match send(socket, packet, SendFlags::NOSIGNAL) {
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
