//! The commands, one JSON line each.

use crate::flags::Flags;
use crate::listener::Listener;
use crate::order::How;
use crate::peer::Peer;
use crate::put;
use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{self, AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

/// How long connections may take to end.
const CUT: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    State {},
    Behave { how: How, method: Option<String>, times: Option<u64> },
    Token { token: Option<String> },
}

/// Serves until standard input ends.
pub async fn run(flags: Flags) -> Result<()> {
    let put = TcpListener::bind((flags.listen.ip(), 0)).await?;
    let put_address = put.local_addr()?;
    let peer = Arc::new(Peer::new(&flags, put_address)?);
    tokio::spawn(put::serve(put, peer.clone()));
    let mut listener = Listener::open(peer.clone(), flags.listen).await?;
    println!("{}", json!({ "listening": listener.address(), "put": put_address }));
    let mut lines = BufReader::new(io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = obey(&line, &peer, &mut listener).await;
        println!("{}", answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") })));
    }
    Ok(())
}

async fn obey(line: &str, peer: &Peer, listener: &mut Listener) -> Result<Value> {
    match serde_json::from_str(line)? {
        Command::State {} => return Ok(serde_json::to_value(&*peer.record())?),
        Command::Token { token } => *peer.token() = token,
        Command::Behave { how, method, times } => {
            let cuts = how.is_for_connections();
            peer.orders().set(how, method, times);
            let is_open = peer.orders().is_open();
            listener.set_open(is_open).await?;
            if cuts {
                peer.cut();
                let cut = async {
                    while peer.record().open > 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                // Clients may be back already.
                let _ = tokio::time::timeout(CUT, cut).await;
            }
        }
    }
    Ok(json!({ "ok": true }))
}
