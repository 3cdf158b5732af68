//! Where the sockets of container runtimes are.

use super::{Kind, rootless};
use std::path::PathBuf;

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
    /// The user whose containers it knows, if that is not root: it may be trusted with no others.
    pub user: Option<u32>,
}

/// The sockets that are looked for. Of paths that lead to the same socket the first counts.
const KNOWN: [(&str, Kind); 10] = [
    ("/run/docker.sock", Kind::Docker),
    ("/var/run/docker.sock", Kind::Docker),
    ("/run/podman/podman.sock", Kind::Podman),
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

    /// Whose status tells of it as long as it has not told what it is.
    pub(super) fn guess(&self) -> Kind {
        self.kind.unwrap_or(Kind::Cri)
    }
}

impl Options {
    /// The sockets of root's to look for.
    pub(super) fn places(&self) -> Vec<Place> {
        match (&self.socket_path, &self.places) {
            (Some(path), _) => vec![Place::new(path, None)],
            (None, Some(places)) => places.clone(),
            (None, None) => KNOWN.iter().map(|(path, kind)| Place::new(path, Some(*kind))).collect(),
        }
    }

    /// The sockets of users to look for.
    pub(super) fn places_of_users(&self) -> Vec<Place> {
        let is_open = self.socket_path.is_none() && self.places.is_none();
        if is_open { rootless::places() } else { Vec::new() }
    }

    /// Why there is none of a kind, in words.
    pub(super) fn absence(&self, kind: Kind) -> String {
        if let Some(path) = &self.socket_path {
            return format!("not behind {}, which --socket-path names", path.display());
        }
        let places = self.places().into_iter();
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
        assert_eq!(options.places(), [Place::new("/a", None)]);
        assert_eq!(options.absence(Kind::Docker), "not behind /a, which --socket-path names");
        assert_eq!(options.places_of_users(), []);
    }

    #[test]
    fn every_kind_is_looked_for() {
        let places = Options::default().places();
        for kind in Kind::ALL {
            assert!(places.iter().any(|place| place.kind == Some(kind)), "{kind:?}");
        }
        assert_eq!(Options::default().absence(Kind::Podman), "no socket at /run/podman/podman.sock");
    }
}
