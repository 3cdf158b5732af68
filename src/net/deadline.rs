//! How long something may take.

use smol::Timer;
use smol::future::FutureExt;
use std::time::Duration;

/// What a future comes to; `None` if it has not by the deadline. It goes to the heap at once: deadlines stand within
/// deadlines, and each would hold the future below several times over.
pub fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    let work = Box::pin(work);
    async move {
        let late = async {
            Timer::after(deadline).await;
            None
        };
        async { Some(work.await) }.or(late).await
    }
}

#[cfg(test)]
mod tests {
    use super::within;
    use std::future::{pending, ready};
    use std::time::Duration;

    #[test]
    fn what_comes_in_time_is_given_and_nothing_else() {
        assert_eq!(smol::block_on(within(Duration::ZERO, ready(1))), Some(1), "what is there is in time");
        assert_eq!(smol::block_on(within(Duration::from_millis(1), pending::<u8>())), None);
    }
}
