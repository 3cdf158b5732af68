//! Where the sockets of container runtimes are.

use super::{Kind, rootless};
use std::path::{Path, PathBuf};

/// What to ask.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The one socket to ask, of whatever kind; without it those that are known are looked for.
    pub socket_path: Option<PathBuf>,
    /// Other sockets to look for than those that are known.
    pub places: Option<Vec<Place>>,
}

/// Where a socket may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// Which API it speaks; `None` if that is to be found out.
    pub kind: Option<Kind>,
    /// The user whose containers it knows, if that is not root: it is asked for no others.
    pub user: Option<u32>,
}

/// The sockets that are looked for. Of paths that lead to the same socket the first counts: where Podman is in
/// Docker's place, that is a link.
const KNOWN: [(&str, Kind); 10] = [
    ("/run/podman/podman.sock", Kind::Podman),
    ("/run/docker.sock", Kind::Docker),
    ("/var/run/docker.sock", Kind::Docker),
    ("/run/containerd/containerd.sock", Kind::Cri),
    ("/run/crio/crio.sock", Kind::Cri),
    ("/var/run/crio/crio.sock", Kind::Cri),
    ("/run/cri-dockerd.sock", Kind::Cri),
    ("/run/k3s/containerd/containerd.sock", Kind::Cri),
    ("/var/snap/microk8s/common/run/containerd.sock", Kind::Cri),
    ("/run/k0s/containerd.sock", Kind::Cri),
];

impl Place {
    /// A socket of root's.
    pub fn new(path: impl Into<PathBuf>, kind: Option<Kind>) -> Self {
        Self { path: path.into(), kind, user: None }
    }

    /// Whether whoever listens is a daemon, and not systemd, which starts one at the first connection: Docker,
    /// Podman and cri-dockerd, which connects to Docker, come with a unit for that.
    pub(super) fn is_daemons_own(&self) -> bool {
        self.kind == Some(Kind::Cri) && !self.path.ends_with("cri-dockerd.sock")
    }

    /// The socket that the operator names. A user's stays the user's.
    fn given(path: &Path) -> Self {
        match rootless::user_of(path) {
            Some(user) => Self { path: path.into(), kind: Some(Kind::Podman), user: Some(user) },
            None => Self::new(path, None),
        }
    }
}

impl Options {
    /// The sockets to look for: root's, or those of a user.
    pub(super) fn places(&self, user: Option<u32>) -> Vec<Place> {
        match (&self.socket_path, &self.places, user) {
            (Some(path), _, _) => vec![Place::given(path)],
            (None, Some(places), _) => places.clone(),
            (None, None, Some(user)) => rootless::place(user).into_iter().collect(),
            (None, None, None) => KNOWN.iter().map(|(path, kind)| Place::new(path, Some(*kind))).collect(),
        }
        .into_iter()
        .filter(|place| place.user == user)
        .collect()
    }

    /// Why there is none of a kind, in words.
    pub(super) fn absence(&self, kind: Kind) -> String {
        if let Some(path) = &self.socket_path {
            return format!("not behind {}, which --socket-path names", path.display());
        }
        let places = self.places(None).into_iter();
        let of_kind = places.filter(|place| place.kind.is_none_or(|other| other == kind));
        let paths: Vec<_> = of_kind.map(|place| place.path.display().to_string()).collect();
        format!("no socket at {}", paths.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Options, Place};

    #[test]
    fn a_socket_that_was_given_is_the_only_one() {
        let options = Options { socket_path: Some("/a".into()), places: None };
        assert_eq!(options.places(None), [Place::new("/a", None)]);
        assert_eq!(options.absence(Kind::Docker), "not behind /a, which --socket-path names");
        assert_eq!(options.places(Some(1000)), []);
    }

    #[test]
    fn a_users_socket_that_was_given_is_asked_for_what_is_theirs() {
        let path = "/run/user/1000/podman/podman.sock";
        let options = Options { socket_path: Some(path.into()), places: None };
        let theirs = Place { path: path.into(), kind: Some(Kind::Podman), user: Some(1000) };
        assert_eq!(options.places(Some(1000)), [theirs]);
        assert_eq!((options.places(None), options.places(Some(1001))), (vec![], vec![]));
    }

    #[test]
    fn only_a_daemon_that_runs_is_greeted() {
        let places = Options::default().places(None);
        let greeted: Vec<_> = places.iter().filter(|place| place.is_daemons_own()).collect();
        assert_eq!(greeted.len(), 6);
        assert!(greeted.iter().all(|place| !place.path.to_string_lossy().contains("docker")), "{greeted:?}");
    }

    #[test]
    fn every_kind_is_looked_for() {
        let places = Options::default().places(None);
        for kind in Kind::ALL {
            assert!(places.iter().any(|place| place.kind == Some(kind)), "{kind:?}");
        }
        assert_eq!(Options::default().absence(Kind::Podman), "no socket at /run/podman/podman.sock");
    }
}
