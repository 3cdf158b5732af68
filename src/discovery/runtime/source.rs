//! Requests for containers, and their answers: whom to ask in which order.

use super::description::Description;
use super::error::{AskError, Reason};
use super::figures::Figures;
use super::known::Known;
use super::place::{Options, Place};
use super::socket::{LIMITS, Outcome, Seen, Socket};
use super::{Kind, watch};
use crate::discovery::catalogue::Catalogue;
use crate::discovery::container::{ContainerId, Engine, key};
use crate::discovery::status::SourceStatus;
use crate::discovery::target::Discovered;
use crate::metrics::Exposition;
use crate::net::deadline::within;
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::future::FutureExt;
use smol::{Executor, Task, Timer};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that are answered at a time.
const PARALLEL: usize = 16;
/// How often what is long gone is forgotten.
const TIDY: Duration = Duration::from_secs(60);
/// Sockets of Docker that wait to be listened to.
pub(super) const MAX_UNHEARD: usize = 16;
/// Longest id that is asked for.
const MAX_ID: usize = 255;
/// An id that no container has: the answer tells whether the runtime works.
const NO_ID: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The catalogue has it now.
    Known,
    /// No runtime knows it.
    Unknown,
    /// Who may know it cannot be asked at the moment.
    Failed,
}

impl Answer {
    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// What there is to ask.
struct Look {
    /// For the request.
    asked: Vec<Seen>,
    /// For any.
    there: Vec<Arc<Socket>>,
}

/// The container runtimes of this host.
pub struct Runtimes {
    options: Options,
    catalogue: Arc<Catalogue>,
    executor: Arc<Executor<'static>>,
    statuses: [Arc<SourceStatus>; Kind::ALL.len()],
    sockets: Mutex<HashMap<PathBuf, Arc<Socket>>>,
    known: Mutex<Known>,
    /// Held by who looks for sockets, so that no more than one thread hangs in a file system.
    looking: Arc<smol::lock::Mutex<()>>,
    pub(super) figures: Figures,
    /// Sockets that nobody listens to yet.
    unheard: (Sender<Arc<Socket>>, Receiver<Arc<Socket>>),
}

impl Runtimes {
    /// What is told goes into the catalogue, in which nobody else may put anything.
    pub fn new(options: Options, catalogue: Arc<Catalogue>, executor: Arc<Executor<'static>>) -> Arc<Self> {
        let statuses = Kind::ALL.map(|kind| Arc::new(SourceStatus::new(kind.name())));
        let (sockets, known, looking, figures) = Default::default();
        let unheard = bounded(MAX_UNHEARD);
        Arc::new(Self { options, catalogue, executor, statuses, sockets, known, looking, figures, unheard })
    }

    /// How each kind of runtime does, in the order of [`Kind::ALL`].
    pub fn statuses(&self) -> &[Arc<SourceStatus>] {
        &self.statuses
    }

    /// Whether a runtime tells of changes.
    pub fn listens(&self) -> bool {
        self.all().values().any(|socket| socket.listening_since().is_some())
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.figures.collect(exposition);
    }

    /// Answers requests until their channel is closed, each with exactly one answer. A container in use is to be
    /// requested again every five minutes: it may have another name by then, and one that no one requests for an
    /// hour is taken to be gone.
    pub async fn run(
        self: Arc<Self>,
        requests: Receiver<ContainerId>,
        answers: Sender<(ContainerId, Answer)>,
    ) {
        let greeting = self.executor.spawn(self.clone().greet());
        let workers: Vec<Task<()>> = (0..PARALLEL)
            .map(|_| {
                let (this, requests, answers) = (self.clone(), requests.clone(), answers.clone());
                self.executor.spawn(async move {
                    while let Ok(container) = requests.recv().await {
                        let answer = this.answer(&container).await;
                        // Who no longer listens does not miss it.
                        let _ = answers.send((container, answer)).await;
                    }
                })
            })
            .collect();
        let work = async {
            greeting.await;
            for worker in workers {
                worker.await;
            }
        };
        work.or(self.listen()).or(self.tidy_for_ever()).await;
    }

    /// Looks at what is there, so that its status is known before the first request. What the first connection may
    /// start is left alone until a container is met that may be its own.
    async fn greet(self: Arc<Self>) {
        let Some(look) = self.look(None).await else { return };
        self.tell_absence(&look.there);
        let (asked, left): (Vec<_>, Vec<_>) =
            look.asked.into_iter().partition(|seen| seen.socket.place.is_daemons_own());
        self.ask_all(asked, NO_ID).await;
        for kind in left.iter().filter_map(|seen| seen.socket.kind()) {
            self.statuses[kind as usize].waiting("no container that may be its own was met yet");
        }
    }

    /// One request.
    async fn answer(self: &Arc<Self>, container: &ContainerId) -> Answer {
        let answer = self.find(container).await;
        self.figures.answer(answer);
        answer
    }

    async fn find(self: &Arc<Self>, container: &ContainerId) -> Answer {
        let (id, now) = (&*container.id, Instant::now());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // It becomes part of a path.
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(fits) || id.contains("..") {
            return Answer::Unknown;
        }
        let has_nobody_to_ask = match container.engine {
            // Of the runtimes of users only Podman is asked.
            engine if container.user.is_some() => engine != Some(Engine::Podman),
            Some(engine) => Kind::of(engine).is_none(),
            None => false,
        };
        if has_nobody_to_ask {
            return Answer::Unknown;
        }
        let key = container.key();
        self.known().request(&key, now);
        let still_holds =
            |path: &Path, asked| self.socket(path).is_some_and(|socket| socket.still_holds(asked));
        if self.known().is_fresh(&key, now, still_holds) && self.catalogue.get(&key).is_some() {
            return Answer::Known;
        }
        let Some(Look { asked, there }) = self.look(container.user).await else { return Answer::Failed };
        let answer = self.ask_in_order(container, asked).await;
        // After the answers, which tell what each socket is.
        self.tell_absence(&there);
        answer
    }

    /// Asks those who should know first, then the other runtimes; for what is a user's only the user's. A Docker
    /// that may sleep is asked only for a container that may be its own, and last if it may be another's.
    async fn ask_in_order(&self, container: &ContainerId, asked: Vec<Seen>) -> Answer {
        let best = container.engine.and_then(Kind::of);
        let is_first = |seen: &Seen| match best {
            Some(kind) => seen.socket.may_be(kind),
            None => !seen.socket.may_sleep(),
        };
        let (first, mut second): (Vec<_>, Vec<_>) = asked.into_iter().partition(is_first);
        if best.is_some() {
            second.retain(|seen| !seen.socket.may_sleep());
        }
        let id = &*container.id;
        let mut answer = self.ask_all(first, id).await;
        if answer != Answer::Known {
            answer = match self.ask_all(second, id).await {
                // Of who is not likely to know it only good news counts.
                Answer::Failed if best.is_some() => answer,
                Answer::Unknown => answer,
                other => other,
            };
        }
        // What was told before stays in force, unless the same runtime says otherwise.
        let key = container.key();
        if self.known().teller(&key).is_some() && self.catalogue.get(&key).is_some() {
            answer = Answer::Known;
        }
        answer
    }

    /// Asks some sockets at once. The first that knows the container is enough.
    async fn ask_all(&self, sockets: Vec<Seen>, id: &str) -> Answer {
        let (sender, outcomes) = unbounded();
        let _tasks: Vec<Task<()>> = sockets
            .into_iter()
            .map(|seen| {
                let (socket, sender, id) = (seen.socket.clone(), sender.clone(), id.to_owned());
                self.executor.spawn(async move {
                    let outcome = seen.ask(&id).await;
                    let _ = sender.send((socket, outcome)).await;
                })
            })
            .collect();
        drop(sender);
        let mut answer = Answer::Unknown;
        while let Ok((socket, outcome)) = outcomes.recv().await {
            match self.take_in(&socket, id, outcome) {
                Answer::Known => return Answer::Known,
                Answer::Failed => answer = Answer::Failed,
                Answer::Unknown => {}
            }
        }
        answer
    }

    /// Asks one socket, of which something is known already.
    pub(super) async fn ask_again(&self, socket: &Arc<Socket>, id: &str) {
        if let Some(seen) = socket.see().await {
            let outcome = seen.ask(id).await;
            self.take_in(socket, id, outcome);
        }
    }

    /// Asks for all containers that a socket of root's told of.
    pub(super) async fn ask_for_all_of(&self, socket: &Arc<Socket>) {
        let ids = self.known().told_by(&socket.path);
        for id in ids {
            self.ask_again(socket, &id).await;
        }
    }

    /// Takes in that a container is gone, if the socket that says so has told of it.
    pub(super) fn lose(&self, socket: &Socket, id: &str) {
        let key = key(socket.place.user, id);
        let mut known = self.known();
        if known.teller(&key) == Some(&*socket.path) {
            known.forget(&key);
            self.catalogue.remove(&key, Instant::now());
        }
    }

    /// Takes in what a socket told of a container. Whatever a user's tells is of a container of that user's.
    fn take_in(&self, socket: &Arc<Socket>, id: &str, outcome: Outcome) -> Answer {
        let key = key(socket.place.user, id);
        match outcome {
            Outcome::Known(Description { discovered, dropped }) => {
                self.figures.dropped_labels.add(dropped);
                let is_kept = self.keep(socket, &key, discovered);
                // Who listens asks again for what is kept by now.
                self.works(socket);
                if is_kept { Answer::Known } else { Answer::Failed }
            }
            Outcome::Unknown => {
                self.works(socket);
                self.lose(socket, id);
                Answer::Unknown
            }
            Outcome::Nobody => {
                if self.is_alone(socket) {
                    let reason = format!("{} serves no CRI", socket.path.display());
                    self.statuses[Kind::Cri as usize].off(&reason);
                }
                Answer::Unknown
            }
            Outcome::Resting => Answer::Failed,
            Outcome::Failed(error) => {
                self.take_in_error(socket, &error);
                if self.is_alone(socket) {
                    self.statuses[socket.status_kind() as usize].failing(&error);
                }
                Answer::Failed
            }
            Outcome::Refused(error) => {
                self.take_in_error(socket, &error);
                let status = &self.statuses[socket.status_kind() as usize];
                // Who refuses all that is asked does not work.
                if status.snapshot().last_success.is_none() && self.is_alone(socket) {
                    status.failing(&error);
                } else {
                    status.mishap(&error);
                }
                Answer::Failed
            }
        }
    }

    /// Keeps what a socket told of a container, if there is room.
    fn keep(&self, socket: &Socket, key: &str, discovered: Discovered) -> bool {
        if !self.known().learn(key, socket.path.clone(), Instant::now()) {
            self.figures.crowded_out.increment();
            return false;
        }
        // Where there is no room the catalogue counts it.
        let is_kept = self.catalogue.put(key, discovered);
        if !is_kept {
            self.known().forget(key);
        }
        is_kept
    }

    /// Counts what a socket did not answer.
    pub(super) fn take_in_error(&self, socket: &Socket, error: &AskError) {
        self.figures.error(socket.status_kind(), error.reason());
        log::debug!(socket:% = socket.path.display(), error:% = error; "container runtime did not answer");
    }

    fn works(&self, socket: &Arc<Socket>) {
        self.statuses[socket.status_kind() as usize].working();
        if socket.wants_listener() && self.unheard.0.try_send(socket.clone()).is_err() {
            self.figures.unheard.increment();
            socket.has_no_listener();
        }
    }

    /// Whether no other socket of its kind works: one that does is enough for all to be well, as far as anyone can
    /// tell.
    fn is_alone(&self, socket: &Arc<Socket>) -> bool {
        let is_other =
            |other: &Arc<Socket>| !Arc::ptr_eq(other, socket) && other.status_kind() == socket.status_kind();
        !self.all().values().any(|other| is_other(other) && other.has_answered())
    }

    /// Kinds of which there is no socket are off.
    fn tell_absence(&self, there: &[Arc<Socket>]) {
        for kind in Kind::ALL {
            if !there.iter().any(|socket| socket.may_be(kind)) {
                self.statuses[kind as usize].off(&self.options.absence(kind));
            }
        }
    }

    /// The same after another look.
    pub(super) async fn notice_absence(self: &Arc<Self>) {
        if let Some(look) = self.look(None).await {
            self.tell_absence(&look.there);
        }
    }

    /// Looks once for all sockets that matter to a request for a container of root's or of a user's; `None` if that
    /// takes too long.
    async fn look(self: &Arc<Self>, user: Option<u32>) -> Option<Look> {
        let this = self.clone();
        let look = async {
            let looking = self.looking.lock_arc().await;
            let look = smol::unblock(move || {
                let look = this.look_blocking(user);
                drop(looking);
                look
            });
            look.await
        };
        let look = within(LIMITS.deadline, look).await;
        if look.is_none() {
            for kind in Kind::ALL {
                self.figures.error(kind, Reason::Late);
                self.statuses[kind as usize].failing_because("it takes too long to look for the socket");
            }
        }
        look
    }

    fn look_blocking(&self, user: Option<u32>) -> Look {
        let of_root = self.see(self.options.places(None));
        let mut there: Vec<_> = of_root.iter().map(|seen| seen.socket.clone()).collect();
        let asked = if user.is_some() { self.see(self.options.places(user)) } else { of_root };
        // A user's is looked for only where a container is theirs.
        let is_of_user = |socket: &&Arc<Socket>| socket.place.user.is_some() && socket.was_there();
        there.extend(self.all().values().filter(is_of_user).cloned());
        Look { asked, there }
    }

    /// The sockets that are at some places, without those that are the same as another.
    fn see(&self, places: Vec<Place>) -> Vec<Seen> {
        let mut all = self.all();
        let socket = |place: Place| {
            let make = || Arc::new(Socket::new(place.clone(), self.executor.clone()));
            all.entry(place.path.clone()).or_insert_with(make).clone()
        };
        let sockets: Vec<_> = places.into_iter().map(socket).collect();
        drop(all);
        let mut files = HashSet::new();
        let is_another = |seen: &Seen| seen.file().is_none_or(|file| files.insert(file));
        sockets.into_iter().filter_map(Seen::of).filter(is_another).collect()
    }

    fn socket(&self, path: &Path) -> Option<Arc<Socket>> {
        self.all().get(path).cloned()
    }

    /// Listens to each Docker that has answered.
    async fn listen(self: &Arc<Self>) {
        let mut tasks = Vec::new();
        while let Ok(socket) = self.unheard.1.recv().await {
            let this = self.clone();
            tasks.push(self.executor.spawn(async move { watch::watch(&this, &socket).await }));
        }
    }

    async fn tidy_for_ever(&self) {
        loop {
            Timer::after(TIDY).await;
            self.tidy(Instant::now());
        }
    }

    /// Forgets who is long gone. When the catalogue lets go of them is for the end of a window, whose samples they
    /// still name.
    pub(super) fn tidy(&self, now: Instant) {
        let unwanted = self.known().forget_unwanted(now);
        self.figures.forgotten.add(unwanted.len() as u64);
        for key in unwanted {
            self.catalogue.remove(&key, now);
        }
        // Users come and go.
        self.all().retain(|_, socket| socket.place.user.is_none() || Seen::of(socket.clone()).is_some());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
