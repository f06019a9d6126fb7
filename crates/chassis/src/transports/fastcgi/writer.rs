//! Writes records. Only complete ones are added; the rest of a cancelled write goes first in the
//! next one.
//!
//! Next: [`super::answer`].

use std::io;

use bytes::BytesMut;
use tokio::{io::AsyncWrite, sync::Mutex};

use super::{
    params,
    record::{self, Record, Status},
};
use crate::transports::out::Out;

/// Shared by the response and by replies that cannot wait for it.
pub(super) struct Writer<W>(Mutex<Out<W>>);

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(io: W) -> Self {
        Self(Mutex::new(Out::new(io)))
    }

    /// Adds records, and writes once there are many.
    pub(super) async fn put(&self, put: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut out = self.0.lock().await;
        put(&mut out.buffer);
        if out.is_full() { out.flush().await } else { Ok(()) }
    }

    /// Adds records, and writes everything.
    pub(super) async fn send(&self, put: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut out = self.0.lock().await;
        put(&mut out.buffer);
        out.flush().await
    }

    /// Replies to a management record: our values, or an unknown type (FastCGI 1.0, section 4).
    pub(super) async fn manage(&self, asked: &Record, max: usize) -> io::Result<()> {
        self.send(|out| match asked.kind {
            record::GET_VALUES => {
                let mut values = BytesMut::new();
                for (name, _) in params::read(&asked.content).unwrap_or_default() {
                    match name {
                        b"FCGI_MAX_CONNS" | b"FCGI_MAX_REQS" => {
                            params::put(&mut values, name, max.to_string().as_bytes());
                        }
                        b"FCGI_MPXS_CONNS" => params::put(&mut values, name, b"0"),
                        _ => {}
                    }
                    // Repeated requests get as many replies as fit.
                    if values.len() > 1024 {
                        break;
                    }
                }
                record::put(out, record::GET_VALUES_RESULT, 0, &values);
            }
            kind => record::put(out, record::UNKNOWN_TYPE, 0, &[kind, 0, 0, 0, 0, 0, 0, 0]),
        })
        .await
    }

    /// Ends a request that was not served.
    pub(super) async fn refuse(&self, id: u16, status: Status) -> io::Result<()> {
        self.send(|out| record::put_end(out, id, status)).await
    }
}
