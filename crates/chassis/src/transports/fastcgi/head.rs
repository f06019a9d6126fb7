//! A request's first records, and other records before and between them.
//!
//! Records of finished or unknown requests are skipped: Apache may reuse a connection after a response that
//! came before the body was read.
//!
//! Next: [`super::stdin`].

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    reader::Reader,
    record::{self, KEEP_CONN, Record, Status},
    writer::Writer,
};
use crate::{connection::state::Phase, transports::exchange::CgiConnection};

/// 8 KiB: the web server's own variables beside the client's head.
const BESIDE: usize = 8 * 1024;

/// A request that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) id: u16,
    /// The peer wants keep-alive.
    pub(super) keep: bool,
}

/// What came first.
pub(super) enum Opening {
    /// A request and its variables; none where they were too many to keep.
    Request(Begun, Option<Vec<u8>>),
    /// The peer closed, or requests it.
    Closed,
}

/// Reads until a request's variables are complete. `served` says whether it is not the connection's first one.
pub(super) async fn read<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    connection: &CgiConnection<'_>,
    served: bool,
    reader: &mut Reader<R>,
    writer: &Writer<W>,
) -> io::Result<Opening> {
    let most = 2 * connection.inner.limits.settings().max_head.len() + BESIDE;
    let mut opened: Option<(Begun, Vec<u8>)> = None;
    let mut too_long = false;
    let waiting =
        Waiting { phase: if served { Phase::Idle } else { Phase::Silent }, since: connection.entry.state.since() };
    loop {
        waiting.rest(connection, reader, opened.is_some());
        let Some(record) = reader.next().await? else { return Ok(Opening::Closed) };
        match (&mut opened, record.kind) {
            (_, _) if record.id == 0 => writer.manage(&record, connection.entry.connections().max()).await?,
            (None, record::BEGIN_REQUEST) => match begin(&record)? {
                (record::RESPONDER, begun) => opened = Some((begun, Vec::new())),
                (_, begun) => {
                    writer.refuse(begun.id, Status::UnknownRole).await?;
                    if !begun.keep {
                        return Ok(Opening::Closed);
                    }
                }
            },
            (Some((begun, _)), record::BEGIN_REQUEST) if begun.id != record.id => {
                writer.refuse(record.id, Status::CannotMultiplex).await?;
            }
            (Some((begun, _)), _) if begun.id != record.id => {}
            (None, _) => {}
            (Some((begun, variables)), record::PARAMS) if record.content.is_empty() => {
                let variables = std::mem::take(variables);
                return Ok(Opening::Request(*begun, (!too_long).then_some(variables)));
            }
            (Some((_, variables)), record::PARAMS) => {
                too_long |= variables.len() + record.content.len() > most;
                if !too_long {
                    variables.extend_from_slice(&record.content);
                }
            }
            (Some((begun, _)), record::ABORT_REQUEST) => {
                let begun = *begun;
                opened = None;
                writer.refuse(begun.id, Status::Complete).await?;
                if !begun.keep {
                    return Ok(Opening::Closed);
                }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The wait for a request, from its start: records without a request do not extend it.
struct Waiting {
    phase: Phase,
    since: Instant,
}

impl Waiting {
    /// Between records: received bytes begin a head, and a record without a request leaves the connection as
    /// idle as it was.
    fn rest<R: AsyncRead + Unpin>(&self, connection: &CgiConnection<'_>, reader: &mut Reader<R>, is_open: bool) {
        let state = &connection.entry.state;
        if is_open || !reader.is_empty() {
            state.received(0);
        } else if state.phase() == Phase::Head {
            connection.entry.forget_head();
            state.resume(self.phase, self.since);
        }
        reader.rest();
    }
}

fn begin(record: &Record) -> io::Result<(u16, Begun)> {
    match record.content[..] {
        [high, low, flags, ..] => {
            let begun = Begun { id: record.id, keep: flags & KEEP_CONN != 0 };
            Ok((u16::from_be_bytes([high, low]), begun))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
