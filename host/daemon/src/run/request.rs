//! One plain HTTP request to an application in the own network: hooks and health checks.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends a request without a body; well is a status below 400. Otherwise why not.
pub(super) async fn send(method: &str, url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").ok_or("the url is not http")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut connection = TcpStream::connect(&address).await.map_err(|e| e.to_string())?;
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    let request = format!("{method} /{path} HTTP/1.0\r\nHost: {authority}\r\n{length}Connection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    // The status stands within the first bytes; they may come one by one.
    while head.len() < 64 && !head.contains(&b'\n') {
        let mut bytes = [0; 64];
        let length = connection.read(&mut bytes).await.map_err(|e| e.to_string())?;
        if length == 0 {
            break;
        }
        head.extend_from_slice(&bytes[..length]);
    }
    let line = String::from_utf8_lossy(&head);
    let status = line.split_whitespace().nth(1).and_then(|s| s.parse::<u16>().ok());
    match status {
        Some(status) if status < 400 => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("the answer is not HTTP".to_owned()),
    }
}
