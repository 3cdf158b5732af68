//! A call with many messages in and one out.

use super::call::Call;
use super::{Channel, RpcError};
use crate::net::deadline::within;
use crate::net::{Limits, NetError};
use http::uri::PathAndQuery;
use smol::Timer;
use smol::future::FutureExt;
use smol::stream::Stream;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::{Request, Status};
use tonic_prost::{ProstCodec, ProstDecoder};

impl Channel {
    /// Messages one after the other, and one message in answer. `limits.deadline` is for all of it, `limits.bytes`
    /// bounds the answer, and a peer that takes nothing for as long as `stall` has no more time. The next message is
    /// asked for when the peer has room for it: no more than two are in memory.
    ///
    /// Whoever has no more messages to give though there should be some drops the future, which resets the stream; a
    /// stream that ends says that the upload is whole.
    ///
    /// # Errors
    /// After any that has no [`RpcError::code`] the connection is of no more use.
    pub async fn upload<Piece, Answer>(
        &self,
        method: &'static str,
        request: Request<impl Stream<Item = Piece> + Send + 'static>,
        limits: Limits,
        stall: Duration,
    ) -> Result<tonic::Response<Answer>, RpcError>
    where
        Piece: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        let service = Call::new(self);
        let mut client = tonic::client::Grpc::new(service.clone()).max_decoding_message_size(limits.bytes);
        let turns = Arc::new(Turns::default());
        let _over = Over(turns.clone());
        let mut request =
            request.map(|pieces| Watched { pieces: Some(Box::pin(pieces)), turns: turns.clone() });
        request.set_timeout(limits.deadline);
        let call = async {
            client.ready().await.map_err(Status::from_error)?;
            let codec = EndingCodec::<Piece, Answer>(PhantomData);
            client.client_streaming(request, PathAndQuery::from_static(method), codec).await
        };
        let call = async { within(limits.deadline, call).await.ok_or(limits.deadline) };
        let stalled = async {
            turns.stalled(stall).await;
            Err(stall)
        };
        let answer = call.or(stalled).await;
        answer
            .map_err(|deadline| NetError::late(self.peer(), deadline))?
            .map_err(|status| service.error(method, status))
    }
}

/// Whose turn it is.
#[derive(Default)]
struct Turns(Mutex<Turn>);

struct Turn {
    /// Since when the peer has room to make; `None` while the next message is being made.
    peer: Option<Instant>,
    /// The answer is there, or nobody waits for it.
    is_over: bool,
    waker: Option<Waker>,
}

impl Default for Turn {
    fn default() -> Self {
        Self { peer: Some(Instant::now()), is_over: false, waker: None }
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the peer has taken nothing for so long.
    async fn stalled(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let since = self.lock().peer.unwrap_or(now);
            if now.saturating_duration_since(since) >= patience {
                return;
            }
            Timer::at(since + patience).await;
        }
    }
}

/// Ends the stream of messages when the call is over: a peer may answer before it has read them.
struct Over(Arc<Turns>);

impl Drop for Over {
    fn drop(&mut self) {
        let mut turn = self.0.lock();
        turn.is_over = true;
        let waker = turn.waker.take();
        drop(turn);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Messages, and `None` when there should have been more.
struct Watched<S> {
    pieces: Option<Pin<Box<S>>>,
    turns: Arc<Turns>,
}

impl<S: Stream> Stream for Watched<S> {
    type Item = Option<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut turn = self.turns.lock();
        let is_over = turn.is_over;
        turn.peer = None;
        turn.waker = (!is_over).then(|| context.waker().clone());
        drop(turn);
        if is_over {
            self.pieces = None;
            return Poll::Ready(Some(None));
        }
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let next = pieces.as_mut().poll_next(context);
        if let Poll::Ready(next) = &next {
            self.turns.lock().peer = Some(Instant::now());
            if next.is_none() {
                self.pieces = None;
            }
        }
        next.map(|next| next.map(Some))
    }
}

/// Has "no more though there should be" break the stream instead of ending it.
struct EndingCodec<Piece, Answer>(PhantomData<fn() -> (Piece, Answer)>);

impl<Piece, Answer> Codec for EndingCodec<Piece, Answer>
where
    Piece: prost::Message + 'static,
    Answer: prost::Message + Default + 'static,
{
    type Encode = Option<Piece>;
    type Decode = Answer;
    type Encoder = EndingEncoder<Piece>;
    type Decoder = ProstDecoder<Answer>;

    fn encoder(&mut self) -> Self::Encoder {
        EndingEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Piece, Answer>::default().decoder()
    }
}

struct EndingEncoder<Piece>(PhantomData<fn() -> Piece>);

impl<Piece: prost::Message> Encoder for EndingEncoder<Piece> {
    type Item = Option<Piece>;
    type Error = Status;

    fn encode(&mut self, piece: Option<Piece>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let piece = piece.ok_or_else(|| Status::cancelled("the call is over"))?;
        piece.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::server::{Reply, Server};
    use crate::net::grpc::{Channel, Code, RpcError};
    use crate::net::stream::dial_unix;
    use crate::net::{Limits, NetError};
    use http::Uri;
    use prost::Message;
    use smol::Executor;
    use smol::stream::{self, Stream, StreamExt};
    use std::io::{self, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use tonic::Request;

    const METHOD: &str = "/test.Service/Method";
    const LIMITS: Limits = Limits { deadline: Duration::from_secs(20), bytes: 1 << 20 };
    const PIECE: usize = 256 << 10;

    #[derive(Clone, PartialEq, Message)]
    struct Piece {
        #[prost(bytes = "vec", tag = "1")]
        bytes: Vec<u8>,
    }

    fn piece(byte: u8) -> Piece {
        Piece { bytes: vec![byte; PIECE] }
    }

    /// What an upload to a server comes to.
    fn upload(
        pieces: impl Stream<Item = Piece> + Send + 'static,
        limits: Limits,
        stall: Duration,
        reply: impl Fn(&[u8]) -> Reply + Send + Sync + 'static,
    ) -> Result<Piece, RpcError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _server = Server::start(&path, move |_, message| reply(message));
        let executor = Arc::new(Executor::new());
        smol::block_on(executor.run(async {
            let dialed = dial_unix(&path, LIMITS.deadline).await.unwrap();
            let origin = Uri::from_static("http://localhost");
            let channel = Channel::begin(dialed, origin, &executor).await.unwrap();
            let answer = channel.upload::<Piece, Piece>(METHOD, Request::new(pieces), limits, stall).await;
            answer.map(tonic::Response::into_inner)
        }))
    }

    fn assert_late(answer: Result<Piece, RpcError>, expected: Duration) {
        let error = answer.unwrap_err();
        let RpcError::Net(NetError::Late { deadline, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(*deadline, expected);
    }

    #[test]
    fn all_pieces_come_in_their_order_and_one_answer_goes() {
        let answer = upload(stream::iter(0..20).map(piece), LIMITS, LIMITS.deadline, |first| {
            // What follows the head of the first message.
            let size = piece(0).encoded_len();
            let mut heads = first.chunks(5 + size).map(|message| message[size - 1]);
            assert!(heads.by_ref().eq(0..20), "other pieces");
            Reply::Message(Piece { bytes: vec![1] }.encode_to_vec())
        });
        assert_eq!(answer.unwrap().bytes, [1]);
    }

    #[test]
    fn a_refusal_is_a_value() {
        let answer = upload(stream::once(piece(0)), LIMITS, LIMITS.deadline, |_| {
            Reply::Status(Code::AlreadyExists, "there")
        });
        assert_eq!(answer.unwrap_err().code(), Some(Code::AlreadyExists));
    }

    #[test]
    fn an_answer_that_does_not_come_is_late_when_nothing_moves() {
        let stall = Duration::from_millis(100);
        let begun = Instant::now();
        assert_late(upload(stream::iter(0..20).map(piece), LIMITS, stall, |_| Reply::Never), stall);
        assert!(begun.elapsed() >= stall);
    }

    #[test]
    fn pieces_that_take_their_time_are_not_the_peers_fault() {
        let stall = Duration::from_millis(50);
        let slow = stream::iter(0..3).then(move |byte| async move {
            smol::Timer::after(4 * stall).await;
            piece(byte)
        });
        let answer = upload(Box::pin(slow), LIMITS, stall * 20, |_| Reply::Message(Vec::new()));
        assert_eq!(answer.unwrap(), Piece::default());
        let limits = Limits { deadline: 2 * stall, ..LIMITS };
        assert_late(upload(stream::pending(), limits, stall, |_| Reply::Never), limits.deadline);
    }

    #[test]
    fn who_is_not_read_is_not_asked_for_more() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = made.clone();
        let endless = stream::repeat(()).map(move |()| {
            counted.fetch_add(1, Ordering::SeqCst);
            piece(0)
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        // It asks for nothing: its window stays at the 64 KiB that HTTP/2 begins with.
        let listener = UnixListener::bind(&path).unwrap();
        // It ends with the process: what drives the connection is let go of by an executor that runs.
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").unwrap();
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let executor = Arc::new(Executor::new());
        let stall = Duration::from_millis(200);
        let answer = smol::block_on(executor.run(async {
            let dialed = dial_unix(&path, LIMITS.deadline).await.unwrap();
            let origin = Uri::from_static("http://localhost");
            let channel = Channel::begin(dialed, origin, &executor).await.unwrap();
            let request = Request::new(endless);
            let answer = channel.upload::<Piece, Piece>(METHOD, request, LIMITS, stall).await;
            answer.map(tonic::Response::into_inner)
        }));
        assert_late(answer, stall);
        assert!(made.load(Ordering::SeqCst) <= 4, "{made:?} pieces for a window of a quarter of one");
    }
}
