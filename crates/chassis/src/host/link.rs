//! The protocol between the old and the new process, over a socket pair; one line per message.
//!
//! ```text
//! supervisor   started PID      the new process's id, at some time before the outcome
//! successor    prepared NAME…   ready to serve, sharing the listeners of these names
//! predecessor  go               from here on both accept
//! successor    accepting        the predecessor stops
//! predecessor  yours            the new process must remove the files of Unix sockets at its end
//! ```
//! Until `go` the new process accepts nothing, so that it can be terminated without losing a request.
//!
//! Next: [`super::supervisor`].

use std::{io, os::unix::net::UnixStream as StdUnixStream};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

pub(super) const STARTED: &str = "started";
pub(super) const PREPARED: &str = "prepared";
pub(super) const GO: &str = "go";
pub(super) const ACCEPTING: &str = "accepting";
pub(super) const YOURS: &str = "yours";

/// One end.
pub(super) struct Link {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Link {
    /// Call it inside a runtime.
    pub(super) fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(stream)?.into_split();
        Ok(Self { lines: BufReader::new(reader).lines(), writer })
    }

    pub(super) async fn say(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(format!("{line}\n").as_bytes()).await
    }

    /// The next line.
    ///
    /// # Errors
    /// `UnexpectedEof` if the other side has closed.
    pub(super) async fn hear(&mut self) -> io::Result<String> {
        self.lines.next_line().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
