//! One call to a server, as a program makes it that is in the network namespace already: HTTP and UDP over the standard
//! library's sockets, so that how it ended is the kernel's own word (`ECONNREFUSED`, not a text).

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Longer than a SYN that is sent again once (1 s), so that one lost packet is no silence.
pub const PATIENCE: Duration = Duration::from_millis(2500);

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this answer: the body of an HTTP response with status 200, or a datagram.
    Answered(String),
    /// An HTTP response with another status.
    Failed(u16, String),
    /// At once, by a TCP reset or an ICMP "port unreachable".
    Refused,
    /// By an ICMP error that says that the host, network or address can't be reached, or may not be.
    Unreachable(String),
    /// Not at all: nothing came back in time.
    Silent,
    /// An established connection was cut before the answer was complete.
    Cut(String),
}

impl Outcome {
    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&str> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// What an error of the socket means.
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Silent,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Self::Cut(error.to_string())
            }
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "answered {answer:?}"),
            Self::Failed(status, body) => write!(f, "answered with status {status}: {body:?}"),
            Self::Refused => f.write_str("refused"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Silent => f.write_str("no answer"),
            Self::Cut(why) => write!(f, "cut: {why}"),
        }
    }
}

/// One HTTP request on a connection of its own; `path` begins with a slash.
pub fn get(to: SocketAddr, host: Option<&str>, path: &str, patience: Duration) -> Outcome {
    exchange(to, host, path, patience).unwrap_or_else(|error| Outcome::of(&error))
}

fn exchange(to: SocketAddr, host: Option<&str>, path: &str, patience: Duration) -> io::Result<Outcome> {
    let mut stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let host = host.map_or_else(|| to.to_string(), str::to_owned);
    // Of HTTP 1.0, so that the server ends the connection and doesn't send chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(parse(&String::from_utf8_lossy(&response)))
}

fn parse(response: &str) -> Outcome {
    let Some((head, body)) = response.split_once("\r\n\r\n") else {
        return Outcome::Cut(format!("within the header: {response:?}"));
    };
    match head.split_whitespace().nth(1).and_then(|status| status.parse().ok()) {
        Some(200) => Outcome::Answered(body.trim_end().to_owned()),
        Some(status) => Outcome::Failed(status, body.trim_end().to_owned()),
        None => Outcome::Cut(format!("no status in {head:?}")),
    }
}

/// One datagram and its answer, from a socket of its own.
pub fn ask(to: SocketAddr, question: &str, patience: Duration) -> Outcome {
    converse(to, question, patience).unwrap_or_else(|error| Outcome::of(&error))
}

fn converse(to: SocketAddr, question: &str, patience: Duration) -> io::Result<Outcome> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(question.as_bytes())?;
    let mut answer = [0; 2048];
    let length = socket.recv(&mut answer)?;
    Ok(Outcome::Answered(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(200);

    #[test]
    fn a_port_without_a_server_refuses_both_protocols() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(get(free, None, "/", BRIEF), Outcome::Refused);
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(ask(free, "hostname", BRIEF), Outcome::Refused);
    }

    #[test]
    fn a_server_that_says_nothing_is_silent() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(ask(server.local_addr().unwrap(), "hostname", BRIEF), Outcome::Silent);
    }

    #[test]
    fn a_response_is_its_body_or_its_status() {
        assert_eq!(parse("HTTP/1.0 200 OK\r\nA: b\r\n\r\nweb-1\n"), Outcome::Answered("web-1".to_owned()));
        assert_eq!(parse("HTTP/1.0 404 Not Found\r\n\r\nno"), Outcome::Failed(404, "no".to_owned()));
        assert!(matches!(parse("HTTP/1.0 200 OK\r\n"), Outcome::Cut(_)));
    }
}
