//! One socket of a runtime: whether it is there, who answers, and what it tells of one container.

use super::circuit::Circuit;
use super::description::Description;
use super::engine_api::{Client, Server};
use super::error::AskError;
use super::place::Place;
use super::{Kind, cri, docker, podman, rootless};
use crate::backoff::random_fraction;
use crate::net::deadline::within;
use crate::net::http1::Connection;
use crate::net::stream::{Dialed, dial_unix};
use crate::net::{Limits, NetError};
use smol::Executor;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an answer may cost. All questions about one container together have no more time. One container's
/// description takes some KiB; what is longer than this has labels that no one can use.
pub(super) const LIMITS: Limits = Limits { deadline: Duration::from_secs(2), bytes: 16 << 20 };

/// A socket that may be there.
pub(super) struct Socket {
    pub(super) place: Place,
    /// The place's path, as containers refer to it.
    pub(super) path: Arc<Path>,
    executor: Arc<Executor<'static>>,
    state: Mutex<State>,
    /// Tells who waits to listen that the socket has answered.
    answered: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct State {
    circuit: Circuit,
    file: Option<FileIdentity>,
    /// Unless it failed when it was last asked.
    identity: Option<Identity>,
    /// What it was when it last answered.
    kind: Option<Kind>,
    /// Since when it has been telling of changes.
    listening_since: Option<Instant>,
    /// It has ceased to, and there may be no daemon any more.
    has_ceased: bool,
    is_watched: bool,
}

/// Which file is at the path: a daemon that is restarted makes a new one, unless the socket is systemd's.
pub(super) type FileIdentity = (u64, u64, i64, i64);

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    EngineApi(Server),
    Cri,
    /// A containerd that serves others, but no CRI.
    Nobody,
}

impl Identity {
    fn kind(&self) -> Kind {
        match self {
            Self::EngineApi(Server::Docker) => Kind::Docker,
            Self::EngineApi(Server::Podman { .. }) => Kind::Podman,
            Self::Cri | Self::Nobody => Kind::Cri,
        }
    }
}

/// What came of asking a socket for one container.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It knows the container.
    Known(Description),
    /// It does not.
    Unknown,
    /// There is a socket, and behind it no runtime that could be asked.
    Nobody,
    /// It failed before, and is left alone for a while.
    Resting,
    /// It cannot be asked.
    Failed(AskError),
    /// It cannot be asked for this container, and may well be for others.
    Refused(AskError),
}

/// A socket that is there. A user's is kept open, so that it is the one that is reached.
struct Found {
    path: PathBuf,
    file: FileIdentity,
    _open: Option<File>,
}

/// A socket that is there, or of which that cannot be told.
pub(super) struct Seen {
    pub(super) socket: Arc<Socket>,
    found: Result<Found, AskError>,
}

impl Seen {
    /// Looks for a socket; `None` if there is none. This blocks for as long as a file system that does not answer: an
    /// operator may name any path.
    pub(super) fn of(socket: Arc<Socket>) -> Option<Self> {
        let found = socket.find().transpose()?;
        Some(Self { socket, found })
    }

    /// Which file it is, if that is known.
    pub(super) fn file(&self) -> Option<FileIdentity> {
        self.found.as_ref().ok().map(|found| found.file)
    }

    /// Asks for one container.
    pub(super) async fn ask(self, id: &str) -> Outcome {
        self.socket.ask(self.found, id).await
    }
}

impl Socket {
    pub(super) fn new(place: Place, executor: Arc<Executor<'static>>) -> Self {
        let path = Arc::from(place.path.as_path());
        Self { place, path, executor, state: Mutex::default(), answered: bounded(1) }
    }

    /// Looks for the socket, as [`Seen::of`] does, without blocking.
    pub(super) async fn see(self: &Arc<Self>) -> Option<Seen> {
        let this = self.clone();
        smol::unblock(move || Seen::of(this)).await
    }

    async fn ask(&self, found: Result<Found, AskError>, id: &str) -> Outcome {
        let found = match found {
            Ok(found) => found,
            Err(error) => return Outcome::Failed(error),
        };
        if !self.state().circuit.permit(Instant::now()) {
            let is_nobody = self.identity() == Some(Identity::Nobody);
            return if is_nobody { Outcome::Nobody } else { Outcome::Resting };
        }
        let answer = self.in_time(self.question(&found, id)).await;
        let mut state = self.state();
        match answer {
            Ok(_) if state.identity == Some(Identity::Nobody) => {
                state.circuit.fail(Instant::now(), random_fraction());
                Outcome::Nobody
            }
            Ok(answer) => {
                state.circuit.succeed();
                // Whoever waits already has this message.
                let _ = self.answered.0.try_send(());
                answer.map_or(Outcome::Unknown, Outcome::Known)
            }
            // Who does not say who it is cannot be asked for any container.
            Err(error) if state.identity.is_some() && error.is_of_one_container() => {
                state.circuit.succeed();
                Outcome::Refused(error)
            }
            Err(error) => {
                state.circuit.fail(Instant::now(), random_fraction());
                state.identity = None;
                Outcome::Failed(error)
            }
        }
    }

    /// Its kind, if that is known.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.state().kind.or(self.place.kind)
    }

    /// Whether it is of a kind, for all that is known.
    pub(super) fn may_be(&self, kind: Kind) -> bool {
        self.kind().is_none_or(|known| known == kind)
    }

    /// Whose status tells of it, also as long as it has not told what it is.
    pub(super) fn status_kind(&self) -> Kind {
        self.kind().unwrap_or(Kind::Cri)
    }

    /// Whether there was a socket when it was last looked for.
    pub(super) fn was_there(&self) -> bool {
        self.state().file.is_some()
    }

    /// Whether it answered when it was last asked.
    pub(super) fn has_answered(&self) -> bool {
        let state = self.state();
        state.file.is_some() && state.identity.is_some() && !state.circuit.has_failed()
    }

    /// Since when it has been telling of changes.
    pub(super) fn listening_since(&self) -> Option<Instant> {
        self.state().listening_since
    }

    /// Takes in that it tells of changes from now on.
    pub(super) fn begin_listening(&self) {
        let mut state = self.state();
        (state.listening_since, state.has_ceased) = (Some(Instant::now()), false);
    }

    /// Takes in that it tells of changes no longer, if it ever did; `is_there` if there is a daemon nevertheless.
    pub(super) fn end_listening(&self, is_there: bool) {
        let mut state = self.state();
        state.has_ceased = state.listening_since.take().is_some() && !is_there;
        // What it answered before says nothing of whether it is there.
        let _ = self.answered.1.try_recv();
    }

    /// Whether a connection may start a daemon that nobody has started: any socket of Docker may be systemd's.
    pub(super) fn may_sleep(&self) -> bool {
        self.kind() == Some(Kind::Docker) && self.listening_since().is_none()
    }

    /// Whether what it told of a container at the time `asked` holds, however long ago that is: where it cannot have
    /// changed unnoticed, and where to ask may start a Docker that was stopped.
    pub(super) fn still_holds(&self, asked: Instant) -> bool {
        // What the CRI tells cannot change as long as there is the container.
        if self.kind() == Some(Kind::Cri) {
            return true;
        }
        let state = self.state();
        state.has_ceased || state.listening_since.is_some_and(|since| asked >= since)
    }

    /// Whether it is Docker's and nobody listens to it; from then on somebody does.
    pub(super) fn wants_listener(&self) -> bool {
        let mut state = self.state();
        let wants = !state.is_watched && state.identity == Some(Identity::EngineApi(Server::Docker));
        state.is_watched |= wants;
        wants
    }

    /// Takes in that nobody can listen to it now.
    pub(super) fn has_no_listener(&self) {
        self.state().is_watched = false;
    }

    /// Waits until it has answered since the last end of listening.
    pub(super) async fn answers(&self) {
        let _ = self.answered.1.recv().await;
    }

    /// A connection for an answer that has no end; `None` if there is no Docker now.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<Option<Connection>, AskError> {
        let Some(seen) = self.see().await else { return Ok(None) };
        let found = seen.found?;
        let connect = async {
            let mut client = self.engine_api(&found).await?;
            let is_docker = client.identify().await? == Server::Docker;
            Ok(is_docker.then(|| client.into_connection()))
        };
        self.in_time(connect).await
    }

    /// Looks for the socket, which may block. If it is another than before, what was known of that one is void.
    fn find(&self) -> Result<Option<Found>, AskError> {
        let looked = match self.place.user {
            None => std::fs::metadata(&self.place.path).map(|metadata| (metadata, None)),
            Some(_) => {
                rootless::open_socket(&self.place.path).and_then(|file| Ok((file.metadata()?, Some(file))))
            }
        };
        let (metadata, open) = match looked {
            Ok(looked) => looked,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.state().file = None;
                return Ok(None);
            }
            Err(source) => return Err(AskError::Inaccessible { peer: self.peer(), source }),
        };
        if !metadata.file_type().is_socket() {
            return Err(AskError::NotSocket { peer: self.peer() });
        }
        let path = open.as_ref().map_or_else(|| self.place.path.clone(), rootless::path);
        let file = identity(&metadata);
        let mut state = self.state();
        if state.file != Some(file) {
            (state.file, state.circuit) = (Some(file), Circuit::default());
            (state.identity, state.kind) = (None, None);
        }
        Ok(Some(Found { path, file, _open: open }))
    }

    async fn question(&self, found: &Found, id: &str) -> Result<Option<Description>, AskError> {
        let identity = match self.identity() {
            Some(identity) if identity != Identity::Nobody => identity,
            _ => self.identify(found).await?,
        };
        {
            let mut state = self.state();
            state.kind = Some(identity.kind());
            state.identity = Some(identity.clone());
        }
        match identity {
            Identity::EngineApi(server) => {
                let mut client = self.engine_api(found).await?;
                match server {
                    Server::Docker => docker::ask(&mut client, id).await,
                    Server::Podman { version } => podman::ask(&mut client, &version, id).await,
                }
            }
            Identity::Cri => match self.cri(found).await? {
                Some(client) => client.ask(id).await,
                None => Ok(None),
            },
            Identity::Nobody => Ok(None),
        }
    }

    async fn identify(&self, found: &Found) -> Result<Identity, AskError> {
        let engine_api = async {
            let mut client = self.engine_api(found).await?;
            match client.identify().await? {
                // Root's is trusted with every container of root's, and is listened to.
                Server::Docker if self.place.user.is_some() => {
                    Err(client.malformed("answer of Podman", None))
                }
                server => Ok(Identity::EngineApi(server)),
            }
        };
        let cri =
            async { Ok(if self.cri(found).await?.is_some() { Identity::Cri } else { Identity::Nobody }) };
        match self.place.kind {
            Some(Kind::Cri) => cri.await,
            Some(Kind::Docker | Kind::Podman) => engine_api.await,
            None => self.either(engine_api, cri).await,
        }
    }

    /// Speaks both at once: who does not understand one of them may not answer at all.
    async fn either(
        &self,
        engine_api: impl Future<Output = Result<Identity, AskError>>,
        cri: impl Future<Output = Result<Identity, AskError>>,
    ) -> Result<Identity, AskError> {
        let is_somebody = |answer: &Result<Identity, AskError>| matches!(answer, Ok(identity) if *identity != Identity::Nobody);
        let (sender, refusals) = bounded(2);
        let only_somebody = async |answer: Result<Identity, AskError>, is_cri: bool| {
            if is_somebody(&answer) {
                return answer;
            }
            let _ = sender.send((answer, is_cri)).await;
            std::future::pending().await
        };
        let both_refuse = async {
            let (mut of_cri, mut of_engine_api) = (None, None);
            while of_cri.is_none() || of_engine_api.is_none() {
                match refusals.recv().await {
                    Ok((answer, true)) => of_cri = Some(answer),
                    Ok((answer, false)) => of_engine_api = Some(answer),
                    Err(_) => break,
                }
            }
            match (of_cri, of_engine_api) {
                (Some(Err(error @ AskError::Net(NetError::Connect { .. }))), _) => Err(error),
                (cri, engine_api) => Err(AskError::Stranger {
                    peer: self.peer(),
                    cri: reason(cri),
                    engine_api: reason(engine_api),
                }),
            }
        };
        let cri = async { only_somebody(cri.await, true).await };
        let engine_api = async { only_somebody(engine_api.await, false).await };
        cri.or(engine_api).or(both_refuse).await
    }

    async fn engine_api(&self, found: &Found) -> Result<Client, AskError> {
        Client::begin(self.dial(found).await?, &self.executor, LIMITS).await
    }

    async fn cri(&self, found: &Found) -> Result<Option<cri::Client>, AskError> {
        cri::Client::begin(self.dial(found).await?, &self.executor, LIMITS).await
    }

    async fn dial(&self, found: &Found) -> Result<Dialed, NetError> {
        match dial_unix(&found.path, LIMITS.deadline).await {
            Ok(dialed) => Ok(Dialed { peer: self.peer(), ..dialed }),
            Err(NetError::Connect { source, .. }) => Err(NetError::Connect { peer: self.peer(), source }),
            Err(error) => Err(error),
        }
    }

    /// All that is asked at once has one deadline.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, AskError>>) -> Result<T, AskError> {
        let late = || Err(NetError::late(&self.peer(), LIMITS.deadline).into());
        within(LIMITS.deadline, answer).await.unwrap_or_else(late)
    }

    fn identity(&self) -> Option<Identity> {
        self.state().identity.clone()
    }

    fn peer(&self) -> String {
        self.place.path.display().to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(metadata: &Metadata) -> FileIdentity {
    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

fn reason(answer: Option<Result<Identity, AskError>>) -> String {
    match answer {
        Some(Err(error)) => error.to_string(),
        _ => "not served".to_owned(),
    }
}
