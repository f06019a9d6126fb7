//! HTTP/1.1 as little as a test needs: a GET, on a connection that is kept.
//!
//! Next: `answer`.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::answer::Answer;

/// A busy machine answers within this; a service that hangs does not hang its tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A GET on a connection of its own.
///
/// # Errors
/// When there is no connection, or no whole answer.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    Connection::open(address)?.get(path)
}

/// A connection that is kept between requests.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(super) fn get(&mut self, path: &str) -> io::Result<Answer> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\naccept: */*\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let headers = self.headers()?;
        let body = self.body(&headers)?;
        Ok(Answer::new(status, headers, body.into()))
    }

    fn headers(&mut self) -> io::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        while let Some((name, value)) = self.line()?.split_once(':') {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(io::Error::other)?);
        }
        Ok(headers)
    }

    fn body(&mut self, headers: &HeaderMap) -> io::Result<Vec<u8>> {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match (value(header::TRANSFER_ENCODING), value(header::CONTENT_LENGTH)) {
            (Some("chunked"), _) => self.chunks(),
            (_, Some(length)) => self.bytes(length.parse().map_err(io::Error::other)?),
            _ => Ok(Vec::new()),
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size =
                usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).map_err(io::Error::other)?;
            body.extend(self.bytes(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
