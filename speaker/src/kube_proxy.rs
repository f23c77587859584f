//! Whether kube-proxy on this node is well, by its own words: where it is not, addresses lead nowhere.
//!
//! Owns the asking. Only a clear no counts: whatever else keeps an answer away (nothing listens, another program does
//! kube-proxy's work, the answer is late) says nothing about the packets.

use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Where to ask: an `http` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthUrl {
    authority: String,
    path: String,
}

/// A URL that can't be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no URL such as http://127.0.0.1:10256/healthz")]
pub struct HealthUrlError(String);

impl FromStr for HealthUrl {
    type Err = HealthUrlError;

    fn from_str(text: &str) -> Result<Self, HealthUrlError> {
        let parsed = || {
            let uri: axum::http::Uri = text.parse().ok()?;
            let authority = uri.authority().filter(|authority| !authority.host().is_empty())?;
            let with_port = match authority.port_u16() {
                Some(_) => authority.to_string(),
                None => format!("{authority}:80"),
            };
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            (uri.scheme_str() == Some("http")).then_some(Self { authority: with_port, path })
        };
        parsed().ok_or_else(|| HealthUrlError(text.to_owned()))
    }
}

/// How kube-proxy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody knows.
    #[default]
    Unknown,
    /// It says that it is well.
    Well,
    /// It says that it is not, with this HTTP status.
    Unwell(u16),
}

/// Asks now and then for as long as somebody listens.
pub async fn ask_on(url: HealthUrl, said: watch::Sender<Health>) {
    let mut asks = tokio::time::interval(ASK_EVERY);
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !said.is_closed() {
        asks.tick().await;
        let answer = tokio::time::timeout(ANSWER_WITHIN, ask(&url)).await;
        let health = answer.ok().and_then(Result::ok).flatten().map_or(Health::Unknown, judge);
        said.send_if_modified(|before| std::mem::replace(before, health) != health);
    }
}

/// Statuses below 500 but success tell that something else is asked than kube-proxy.
const fn judge(status: u16) -> Health {
    match status {
        200..=299 => Health::Well,
        500..=599 => Health::Unwell(status),
        _ => Health::Unknown,
    }
}

/// The status of the answer; `None` if it is no HTTP.
async fn ask(url: &HealthUrl) -> std::io::Result<Option<u16>> {
    let HealthUrl { authority, path } = url;
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // "HTTP/1.1 200" is all that is read of the answer.
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    let status =
        str::from_utf8(&start).ok().filter(|start| start.starts_with("HTTP/1.")).and_then(|start| start.get(9..));
    Ok(status.and_then(|status| status.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn an_http_url_is_taken_with_or_without_port_and_path() {
        let read = |text: &str| text.parse::<HealthUrl>().map(|url| (url.authority, url.path));
        assert_eq!(read("http://127.0.0.1:10256/healthz"), Ok(("127.0.0.1:10256".to_owned(), "/healthz".to_owned())));
        assert_eq!(read("http://[::1]:9/a?b"), Ok(("[::1]:9".to_owned(), "/a?b".to_owned())));
        assert_eq!(read("http://localhost"), Ok(("localhost:80".to_owned(), "/".to_owned())));
        for text in ["", "127.0.0.1:10256", "https://127.0.0.1/healthz", "/healthz"] {
            assert!(read(text).unwrap_err().to_string().contains("is no URL such as"), "{text}");
        }
    }

    /// Answers every question with the next of these, the last one for ever.
    async fn server(answers: &'static [&'static str]) -> HealthUrl {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 512];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\n"));
                let answer = answers.get(at).or_else(|| answers.last()).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        format!("http://127.0.0.1:{port}/healthz").parse().unwrap()
    }

    #[tokio::test]
    async fn only_a_clear_no_counts_as_one() {
        let answers = [
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Health::Unwell(503)),
            ("HTTP/1.1 200 OK\r\n\r\n", Health::Well),
            ("HTTP/1.1 404 Not Found\r\n\r\n", Health::Unknown),
            ("SSH-2.0-OpenSSH_9.2\r\n", Health::Unknown),
            ("", Health::Unknown),
        ];
        for (answer, expected) in answers {
            // From another state, so that every answer is news.
            let before = if expected == Health::Unwell(503) { Health::Unknown } else { Health::Unwell(500) };
            let (said, mut heard) = watch::channel(before);
            let asking = tokio::spawn(ask_on(server(Vec::leak(vec![answer])).await, said));
            heard.changed().await.unwrap();
            assert_eq!(*heard.borrow(), expected, "{answer:?}");
            asking.abort();
        }
    }

    #[tokio::test]
    async fn where_nothing_listens_nothing_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: HealthUrl = format!("http://{}/healthz", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let (said, mut heard) = watch::channel(Health::Unwell(500));
        let asking = tokio::spawn(ask_on(url, said));
        heard.changed().await.unwrap();
        assert_eq!(*heard.borrow(), Health::Unknown);
        asking.abort();
    }
}
