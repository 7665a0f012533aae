//! A small HTTP/1.1 client: a connection a request, and the whole answer at once. Enough for the daemon's API, whose
//! event streams end when a run's task does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take; a stream of events lasts as long as its run.
const LIMIT: Duration = Duration::from_secs(180);

/// Asks one server.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The headers, in lower case.
    pub head: String,
    /// As text.
    pub body: String,
}

impl Client {
    /// Of the server that said this line: `listening on http://127.0.0.1:7077/v1; the token is in FILE`. With the
    /// token.
    ///
    /// # Errors
    /// When there is no address in it, or the file cannot be read.
    pub fn told_by(line: &str) -> Result<Self> {
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split('/').next());
        let address = address.with_context(|| format!("no address in {line:?}"))?;
        let (_, file) = line.split_once("the token is in ").with_context(|| format!("no token in {line:?}"))?;
        let token = std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
        let address = address.parse().with_context(|| format!("{address} is no address"))?;
        Ok(Self { address, token: Some(token.trim().to_owned()) })
    }

    /// The server's.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is sent with every request.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Without a token.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { token: None, ..self }
    }

    /// With this token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Asks for what is under this path, such as `/v1/runs`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, None).await
    }

    /// Sends a request that does something, with a JSON body or none.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.ask("POST", path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        tokio::time::timeout(LIMIT, self.exchange(method, path, body))
            .await
            .with_context(|| format!("{method} {path} had no answer within {LIMIT:?}"))?
            .with_context(|| format!("{method} {path}"))
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !body.is_empty() {
            head.push_str("content-type: application/json\r\n");
        }
        self.send(&head, &body).await
    }

    /// Sends these lines and this body as they stand, but for the body's length and that the connection ends.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, head: &str, body: &str) -> Result<Answer> {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{head}{length}connection: close\r\n\r\n{body}");
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Answer::parse(&bytes)
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("an answer has a head")?;
        let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
        let rest = &bytes[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") { unchunked(rest)? } else { rest.to_vec() };
        Ok(Self { status, head, body: String::from_utf8(body)? })
    }

    /// Demands this status.
    ///
    /// # Errors
    /// When it is another, with the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected status {status} and not {}: {}", self.status, self.body);
        Ok(self)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("expected JSON and not {:?}", self.body))
    }

    /// Demands a failure with this code, as all failures are answered.
    ///
    /// # Errors
    /// When it is none.
    pub fn fails_with(self, status: u16, code: &str) -> Result<Self> {
        let answer = self.expect(status)?;
        let error = &answer.json()?["error"];
        ensure!(error["code"] == code, "expected {code} and not {}", answer.body);
        ensure!(error["message"].is_string() && error["advice"].is_string(), "it does not say all: {}", answer.body);
        Ok(answer)
    }

    /// The body as server-sent events: each with its name and its data.
    ///
    /// # Errors
    /// When an event's data is not JSON.
    pub fn events(&self) -> Result<Vec<(String, Value)>> {
        let mut events = Vec::new();
        for block in self.body.split("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let Some(data) = field("data:") else { continue };
            let name = field("event:").unwrap_or("message").to_owned();
            events.push((name, serde_json::from_str(data).with_context(|| format!("event {data:?}"))?));
        }
        Ok(events)
    }
}

fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { bail!("the answer was cut off") };
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        if length == 0 {
            return Ok(body);
        }
        let begin = end + 2;
        ensure!(rest.len() >= begin + length + 2, "the answer was cut off");
        body.extend_from_slice(&rest[begin..begin + length]);
        rest = &rest[begin + length + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_and_events_are_told_apart() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            19\r\nevent: a\nid: 1\ndata: {\"x\"\r\n11\r\n:1}\n\n:\n\ndata: 2\n\n\r\n0\r\n\r\n";
        let answer = Answer::parse(bytes).expect("an answer");
        assert_eq!(answer.status, 200);
        let events = answer.events().expect("events");
        assert_eq!(events, [("a".to_owned(), serde_json::json!({"x": 1})), ("message".to_owned(), Value::from(2))]);
    }
}
