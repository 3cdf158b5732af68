//! The port of the gRPC server, which can be shut and opened again.

use crate::connection;
use crate::peer::Peer;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A port.
pub struct Listener {
    peer: Arc<Peer>,
    address: SocketAddr,
    /// Accepts; none while the port is shut.
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens.
    pub async fn open(peer: Arc<Peer>, address: SocketAddr) -> Result<Self> {
        let mut listener = Self { peer, address, accepting: None };
        listener.set_open(true).await?;
        Ok(listener)
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the port or opens it again; it is so when this returns.
    pub async fn set_open(&mut self, open: bool) -> Result<()> {
        match self.accepting.take() {
            Some(accepting) if !open => {
                accepting.abort();
                // It ends by being aborted.
                let _ = accepting.await;
            }
            None if open => {
                let listener = TcpListener::bind(self.address).await;
                let listener = listener.with_context(|| format!("cannot listen on {}", self.address))?;
                self.address = listener.local_addr()?;
                self.accepting = Some(tokio::spawn(accept(listener, self.peer.clone())));
            }
            unchanged => self.accepting = unchanged,
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, peer: Arc<Peer>) {
    loop {
        // A client that is gone again is none.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection::serve(peer.clone(), stream));
        }
    }
}
