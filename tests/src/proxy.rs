//! A proxy between Millrace and a database that breaks connections in every way in which networks do.
//!
//! It understands just enough of both protocols to see a client's statements before it passes them on: a packet's
//! length and kind, and the text of a query. An [`Arm`] says which statement it waits for and what it does then; what
//! the servers answer is passed on as bytes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Chance;

/// What is spoken through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// PostgreSQL's messages.
    Postgres,
    /// MySQL's packets.
    Mysql,
}

/// What happens to a connection when its statement comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed, and the statement never reaches the server.
    Cut,
    /// The connection is closed when half of the statement has reached the server.
    CutWithin,
    /// The server gets the statement, carries it out and answers; the answer is dropped and the connection closed.
    DropAnswer,
    /// So many bytes of the answer come through, then the connection is closed.
    CutAnswer(usize),
    /// Neither side hears of the other any more, and both believe that the connection is open.
    HalfOpen,
    /// As that, but the server gets the statement first, and carries it out.
    HalfOpenBehind,
    /// As that, and the server gets the statement so much later.
    HeldBack(Duration),
    /// From now on whatever the server says comes so much later.
    Delay(Duration),
    /// From now on whatever the server says comes in drops of some bytes.
    Drip,
    /// The connections that are there are all closed, and so is this one.
    CutAll,
    /// One of the cuts, drawn anew each time.
    AnyCut,
}

/// What a proxy waits for, and what it does then.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The statement's text contains all of these, case ignored.
    pub statement: Vec<String>,
    /// What happens.
    pub fault: Fault,
    /// How often, before the proxy only passes on.
    pub times: u32,
    /// It happens once in so many times that such a statement comes.
    pub once_in: u64,
}

impl Arm {
    /// The next statement that contains this text, once.
    #[must_use]
    pub fn next(statement: &str, fault: Fault) -> Self {
        Self { statement: vec![statement.to_lowercase()], fault, times: 1, once_in: 1 }
    }

    /// And this text.
    #[must_use]
    pub fn and(mut self, text: &str) -> Self {
        self.statement.push(text.to_lowercase());
        self
    }

    /// So often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Once in so many times, by chance.
    #[must_use]
    pub fn once_in(self, once_in: u64) -> Self {
        Self { once_in, ..self }
    }
}

#[derive(Debug)]
struct State {
    chance: Chance,
    arms: Vec<Arm>,
    fired: u32,
    /// The beginnings of the last statements, for messages.
    seen: Vec<String>,
}

/// What a client says, and what the server is told instead. None: the same.
pub type Rewrite = dyn Fn(&str) -> Option<String> + Send + Sync;

struct Shared {
    wire: Wire,
    /// Where the server is.
    upstream: Mutex<String>,
    state: Mutex<State>,
    /// Counts up when all connections are to close.
    closing: watch::Sender<u64>,
    /// The numbers of the server's sessions that are open through this proxy; of MySQL's alone.
    sessions: Mutex<BTreeSet<u32>>,
    rewrite: Option<Box<Rewrite>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> MutexGuard<'_, String> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to happen at this statement. None: it is passed on.
    fn judge(&self, text: &str) -> Option<Fault> {
        const SEEN: usize = 400;
        let mut state = self.state();
        if state.seen.len() >= SEEN {
            state.seen.remove(0);
        }
        state.seen.push(text.chars().take(90).collect());
        let lower = text.to_lowercase();
        let fits = |arm: &Arm| arm.times > 0 && arm.statement.iter().all(|part| lower.contains(part));
        let at = state.arms.iter().position(fits)?;
        let Arm { fault, once_in, .. } = state.arms[at];
        if !state.chance.once_in(once_in) {
            return None;
        }
        state.arms[at].times -= 1;
        state.fired += 1;
        Some(match fault {
            Fault::AnyCut => {
                let bytes = usize::try_from(state.chance.below(20_000)).unwrap_or(0);
                let cuts = [Fault::Cut, Fault::CutWithin, Fault::DropAnswer, Fault::CutAnswer(bytes), Fault::CutAll];
                // All connections at once is rare, as it is in life.
                let kinds = if state.chance.once_in(8) { 5 } else { 4 };
                cuts[usize::try_from(state.chance.below(kinds)).unwrap_or(0)]
            }
            fault => fault,
        })
    }
}

/// The proxy. It closes all its connections when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// In front of the server of this URL. The seed decides what is left to chance.
    ///
    /// # Errors
    /// When no port is free, or the URL names no host and port.
    pub async fn start(url: &str, seed: u64) -> Result<Self> {
        Self::begin(url, seed, None).await
    }

    /// The same, before a server of MySQL's protocol that is told other statements than the client says.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn rewriting(url: &str, rewrite: Box<Rewrite>) -> Result<Self> {
        Self::begin(url, 0, Some(rewrite)).await
    }

    async fn begin(url: &str, seed: u64, rewrite: Option<Box<Rewrite>>) -> Result<Self> {
        let wire = if url.starts_with("mysql://") { Wire::Mysql } else { Wire::Postgres };
        let upstream = place(url)?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for a proxy")?;
        let address = listener.local_addr()?;
        let state = State { chance: Chance::new(seed), arms: Vec::new(), fired: 0, seen: Vec::new() };
        let shared = Arc::new(Shared {
            wire,
            upstream: Mutex::new(upstream),
            state: Mutex::new(state),
            closing: watch::Sender::new(0),
            sessions: Mutex::default(),
            rewrite,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// The URL that leads through the proxy. Nothing is encrypted on this way, or the proxy would see no statement.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn url(&self, url: &str) -> Result<String> {
        let through = url.replacen(place(url)?, &self.address.to_string(), 1);
        let plain = if self.shared.wire == Wire::Mysql { "ssl-mode=disabled" } else { "sslmode=disable" };
        let separator = if through.contains('?') { '&' } else { '?' };
        Ok(format!("{through}{separator}{plain}"))
    }

    /// Leads new connections to the server of another URL.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn redirect(&self, url: &str) -> Result<()> {
        place(url)?.clone_into(&mut self.shared.upstream());
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The numbers of the server's sessions that are open through it.
    #[must_use]
    pub fn sessions(&self) -> BTreeSet<u32> {
        self.shared.sessions().clone()
    }

    /// Waits for these statements from now on; what it waited for before is forgotten.
    pub fn arm(&self, arms: impl IntoIterator<Item = Arm>) {
        let mut state = self.shared.state();
        state.arms = arms.into_iter().collect();
        state.fired = 0;
    }

    /// Only passes on from now on; connections that are late, or half open, stay so.
    pub fn disarm(&self) {
        self.shared.state().arms.clear();
    }

    /// How often something happened since the proxy was armed.
    #[must_use]
    pub fn fired(&self) -> u32 {
        self.shared.state().fired
    }

    /// The beginnings of the last statements that came by.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.shared.state().seen.clone()
    }
}

/// `host:port` of a URL.
fn place(url: &str) -> Result<&str> {
    let rest = url.split_once("://").map(|(_, rest)| rest).context("a URL has a scheme")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    if place.contains(':') { Ok(place) } else { bail!("no port in the URL of a test database") }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let (upstream, shared) = (shared.upstream().clone(), Arc::clone(&shared));
                connections.spawn(async move {
                    // Whatever ends a connection ends it for both sides.
                    if let Ok(server) = TcpStream::connect(&upstream).await {
                        let _ = carry(client, server, &shared).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection's answers are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Whole,
    Late(Duration),
    Drops,
    /// Nothing passes any more, in either direction.
    Silent,
    /// The next answer is not passed on, and is the last one.
    Dropped,
    /// So many bytes are passed on, and are the last ones.
    Counted(usize),
}

async fn carry(client: TcpStream, server: TcpStream, shared: &Shared) -> Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let _open = match shared.wire {
        Wire::Mysql => {
            let greeting = mysql_packet(&mut from_server).await?;
            to_client.write_all(&greeting).await?;
            session_of(&greeting).map(|session| Open::new(shared, session))
        }
        Wire::Postgres => None,
    };
    let manner = watch::Sender::new(Manner::Whole);
    let mut closing = shared.closing.subscribe();
    closing.mark_unchanged();
    tokio::select! {
        ended = upwards(from_client, to_server, shared, &manner) => ended,
        ended = downwards(from_server, to_client, manner.subscribe()) => ended,
        _ = closing.changed() => Ok(()),
    }
}

/// A session that is open through the proxy.
struct Open<'a> {
    shared: &'a Shared,
    session: u32,
}

impl<'a> Open<'a> {
    fn new(shared: &'a Shared, session: u32) -> Self {
        shared.sessions().insert(session);
        Self { shared, session }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.sessions().remove(&self.session);
    }
}

/// The session's number: behind a protocol's number and a version that ends with a zero.
fn session_of(greeting: &[u8]) -> Option<u32> {
    let version_end = 5 + greeting.get(5..)?.iter().position(|byte| *byte == 0)?;
    let number = greeting.get(version_end + 1..version_end + 5)?;
    Some(u32::from_le_bytes(number.try_into().ok()?))
}

/// From the client to the server, a message at a time.
async fn upwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    manner: &watch::Sender<Manner>,
) -> Result<()> {
    let mut first = true;
    loop {
        let mut message = match shared.wire {
            Wire::Mysql => mysql_packet(&mut from).await?,
            Wire::Postgres => postgres_message(&mut from, first).await?,
        };
        let statement = match shared.wire {
            Wire::Mysql => mysql_statement(&message),
            Wire::Postgres if first => None,
            Wire::Postgres => postgres_statement(&message),
        };
        first = false;
        if let (Some(rewrite), Some(text)) = (&shared.rewrite, &statement)
            && let Some(instead) = rewrite(text)
        {
            message = mysql_query(&instead)?;
        }
        match statement.and_then(|text| shared.judge(&text)) {
            None => {}
            Some(Fault::Cut) => return Ok(()),
            Some(Fault::CutWithin) => {
                to.write_all(&message[..message.len() / 2]).await?;
                return Ok(());
            }
            Some(Fault::CutAll) => {
                shared.closing.send_modify(|count| *count += 1);
                return Ok(());
            }
            Some(Fault::HalfOpen) => {
                manner.send_replace(Manner::Silent);
                std::future::pending::<()>().await;
            }
            Some(Fault::HalfOpenBehind) => {
                manner.send_replace(Manner::Silent);
                to.write_all(&message).await?;
                std::future::pending::<()>().await;
            }
            Some(Fault::HeldBack(late)) => {
                manner.send_replace(Manner::Silent);
                tokio::time::sleep(late).await;
                to.write_all(&message).await?;
                std::future::pending::<()>().await;
            }
            Some(Fault::DropAnswer) => {
                manner.send_replace(Manner::Dropped);
            }
            Some(Fault::CutAnswer(bytes)) => {
                manner.send_replace(Manner::Counted(bytes));
            }
            Some(Fault::Delay(late)) => {
                manner.send_replace(Manner::Late(late));
            }
            Some(Fault::Drip) => {
                manner.send_replace(Manner::Drops);
            }
            Some(Fault::AnyCut) => unreachable!("it was drawn"),
        }
        to.write_all(&message).await?;
    }
}

/// From the server to the client, as bytes.
async fn downwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, manner: watch::Receiver<Manner>) -> Result<()> {
    const DROP: usize = 48;
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let bytes = &buffer[..length];
        let now = *manner.borrow();
        match now {
            Manner::Whole => to.write_all(bytes).await?,
            Manner::Late(late) => {
                tokio::time::sleep(late).await;
                to.write_all(bytes).await?;
            }
            Manner::Drops => {
                for drop in bytes.chunks(DROP) {
                    to.write_all(drop).await?;
                    to.flush().await?;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Manner::Silent => {}
            Manner::Dropped => return Ok(()),
            Manner::Counted(all) => {
                let rest = all.saturating_sub(passed).min(length);
                to.write_all(&bytes[..rest]).await?;
                passed += rest;
                if passed >= all {
                    return Ok(());
                }
            }
        }
    }
}

/// Length in three bytes, a number, and the packet.
async fn mysql_packet(from: &mut OwnedReadHalf) -> Result<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message).await?;
    let length = usize::from(message[0]) | usize::from(message[1]) << 8 | usize::from(message[2]) << 16;
    message.resize(4 + length, 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}

/// The text of a COM_QUERY, as far as it matters.
fn mysql_statement(packet: &[u8]) -> Option<String> {
    const COM_QUERY: u8 = 3;
    let is_query = packet.get(3) == Some(&0) && packet.get(4) == Some(&COM_QUERY);
    is_query.then(|| beginning(&packet[5..]))
}

/// A COM_QUERY.
fn mysql_query(text: &str) -> Result<Vec<u8>> {
    const COM_QUERY: u8 = 3;
    let length = u32::try_from(text.len() + 1)?.to_le_bytes();
    Ok([&length[..3], &[0, COM_QUERY], text.as_bytes()].concat())
}

/// A kind (but for the first message of a connection), a length that counts itself, and the message.
async fn postgres_message(from: &mut OwnedReadHalf, first: bool) -> Result<Vec<u8>> {
    let head = if first { 4 } else { 5 };
    let mut message = vec![0; head];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[head - 4..].try_into()?) as usize;
    message.resize(head - 4 + length.max(4), 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}

/// The text of a Query or a Parse.
fn postgres_statement(message: &[u8]) -> Option<String> {
    let body = message.get(5..)?;
    match message[0] {
        b'Q' => Some(beginning(body)),
        b'P' => {
            let name = body.iter().position(|byte| *byte == 0)?;
            Some(beginning(&body[name + 1..]))
        }
        _ => None,
    }
}

fn beginning(text: &[u8]) -> String {
    const BEGINNING: usize = 4096;
    String::from_utf8_lossy(&text[..text.len().min(BEGINNING)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_seen_in_both_protocols() {
        assert_eq!(mysql_statement(b"\x07\0\0\0\x03COMMIT").as_deref(), Some("COMMIT"));
        assert_eq!(mysql_statement(b"\x01\0\0\0\x0e"), None, "a ping is no statement");
        assert_eq!(mysql_statement(&mysql_query("COMMIT").unwrap()).as_deref(), Some("COMMIT"));
        assert_eq!(session_of(b"\x4a\0\0\0\x0a5.7\0\x29\x01\0\0salt"), Some(297));
        assert_eq!(mysql_statement(b"\x02\0\0\x01\x03x"), None, "an answer to the greeting is none either");
        assert_eq!(postgres_statement(b"Q\0\0\0\x0dBEGIN\0").as_deref(), Some("BEGIN\0"));
        assert_eq!(postgres_statement(b"P\0\0\0\x0ds1\0SELECT 1\0\0\0").as_deref(), Some("SELECT 1\0\0\0"));
        assert_eq!(postgres_statement(b"S\0\0\0\x04"), None);
    }

    #[test]
    fn the_place_in_a_url_is_found() {
        assert_eq!(place("mysql://root:w@127.0.0.1:2881/shop?a=b@c").unwrap(), "127.0.0.1:2881");
        assert!(place("mysql://root@host/shop").is_err());
    }
}
