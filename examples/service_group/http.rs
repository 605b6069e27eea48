//! As much of HTTP/1.1 as a server and a client of the same hand need: a first line, the length of the
//! body, and the body.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LONGEST_LINE: u64 = 4096;
const MOST_HEADERS: usize = 64;
const LONGEST_BODY: usize = 64 * 1024;

/// A request or a response.
pub(crate) struct Message {
    /// `GET /notes HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(crate) first_line: String,
    pub(crate) body: String,
}

impl Message {
    pub(crate) fn request(method: &str, path: &str, body: &str) -> Self {
        Self {
            first_line: format!("{method} {path} HTTP/1.1"),
            body: body.to_owned(),
        }
    }

    pub(crate) fn response(status: u16, body: impl Into<String>) -> Self {
        let reason = match status {
            200 => "OK",
            201 => "Created",
            404 => "Not Found",
            _ => "Service Unavailable",
        };
        Self {
            first_line: format!("HTTP/1.1 {status} {reason}"),
            body: body.into(),
        }
    }

    /// The next that comes, or nothing if the other side has hung up.
    pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let Some(first_line) = line(from).await? else {
            return Ok(None);
        };
        let mut length = 0;
        for _ in 0..MOST_HEADERS {
            let header = line(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if header.is_empty() {
                let mut body = vec![0; length];
                from.read_exact(&mut body).await?;
                let body = String::from_utf8_lossy(&body).into_owned();
                return Ok(Some(Self { first_line, body }));
            }
            match header.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value
                        .trim()
                        .parse()
                        .map_err(|_| io::ErrorKind::InvalidData)?;
                }
                _ => {}
            }
            if length > LONGEST_BODY {
                break;
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    pub(crate) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Self { first_line, body } = self;
        let length = body.len();
        // Who asks has to name the host.
        let host = match first_line.starts_with("HTTP/") {
            true => "",
            false => "host: localhost\r\n",
        };
        let message = format!("{first_line}\r\n{host}content-length: {length}\r\n\r\n{body}");
        to.write_all(message.as_bytes()).await
    }
}

/// A line without its end, or nothing at the end of all.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.take(LONGEST_LINE).read_line(&mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix('\n').ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(line.trim_end_matches('\r').to_owned()))
}
