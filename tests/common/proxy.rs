//! A proxy of HTTP that knows `CONNECT` alone.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it does for who wants a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Makes it.
    Connect,
    /// Answers with this status line and header fields.
    Refuse(&'static str),
    /// Goes away without a word.
    HangUp,
}

/// A running proxy. It leads to one place, whatever it is asked for, and ends with the test program.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    leads_to: SocketAddr,
    manner: Manner,
    /// Heads of requests, in the order of their coming.
    asked: Vec<String>,
    /// Both ends of what it connects.
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Starts one.
    pub(crate) fn start(leads_to: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { leads_to, manner, asked: Vec::new(), open: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let state = shared.clone();
                // That a client goes away is no failure of a proxy.
                thread::spawn(move || client.and_then(|client| serve(client, &state)));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has it do something else from now on, and ends all connections.
    pub(crate) fn behave(&self, manner: Manner) {
        let mut state = self.state.lock().unwrap();
        state.manner = manner;
        state.open.drain(..).for_each(|stream| {
            let _ = stream.shutdown(Shutdown::Both);
        });
    }

    /// The heads of the requests that came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn serve(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let (manner, leads_to) = {
        let mut state = state.lock().unwrap();
        state.asked.push(head.clone());
        (state.manner, state.leads_to)
    };
    match manner {
        Manner::HangUp => Ok(()),
        Manner::Refuse(answer) => {
            (&client).write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 3\r\n\r\nno\n").as_bytes())?;
            // Until the client goes away: what is left unread would take the answer from it.
            io::copy(&mut reader, &mut io::sink()).map(drop)
        }
        Manner::Connect if !head.starts_with("CONNECT ") => (&client).write_all(b"HTTP/1.1 405 No\r\n\r\n"),
        Manner::Connect => {
            let server = TcpStream::connect(leads_to)?;
            state.lock().unwrap().open.extend([client.try_clone()?, server.try_clone()?]);
            (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut from_server, mut to_client) = (server.try_clone()?, client);
            let back = thread::spawn(move || {
                let _ = io::copy(&mut from_server, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Write);
            });
            let _ = io::copy(&mut reader, &mut &server);
            let _ = server.shutdown(Shutdown::Write);
            let _ = back.join();
            Ok(())
        }
    }
}
