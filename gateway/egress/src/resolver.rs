//! Names to addresses: the machine's resolver, or a test's.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

/// The system's resolver may retry for half a minute; nobody here waits so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A datagram is lost now and then, and the system's resolver waits as long as [`PATIENCE`] before it sends another
/// (resolv.conf(5), `timeout`): by then the connection would have been given up.
const LOST: Duration = Duration::from_secs(1);

pub type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Answers a name with all its addresses. One answer is taken for each connection, so one that changes changes nothing.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a>;
}

#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

pub(crate) async fn within_limits(resolver: &dyn Resolver, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match tokio::time::timeout(PATIENCE, asked_again(resolver, host, port)).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver did not answer")),
    }
}

/// Whichever answer comes first.
async fn asked_again(resolver: &dyn Resolver, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut first = resolver.resolve(host, port);
    if let Ok(answer) = tokio::time::timeout(LOST, &mut first).await {
        return answer;
    }
    tokio::select! {
        answer = first => answer,
        answer = resolver.resolve(host, port) => answer,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Loses so many questions.
    #[derive(Debug)]
    struct Lossy(AtomicUsize);

    impl Resolver for Lossy {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Answer<'a> {
            let lost = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            Box::pin(async move {
                if lost {
                    std::future::pending::<()>().await;
                }
                Ok(vec![([192, 0, 2, 1], port).into()])
            })
        }
    }

    #[tokio::test]
    async fn a_question_that_is_lost_is_asked_again() {
        let answer = within_limits(&Lossy(AtomicUsize::new(1)), "api.example.com", 443).await.unwrap();
        assert_eq!(answer, [([192, 0, 2, 1], 443).into()]);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_for_a_resolver_that_is_silent() {
        let error = within_limits(&Lossy(AtomicUsize::new(9)), "api.example.com", 443).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
