//! Records on their way out. Only whole ones are put in; what a write that is given up leaves behind goes first in the
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

/// Shared by the answer and by replies that cannot wait for it.
pub(super) struct Writer<W>(Mutex<Out<W>>);

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(io: W) -> Self {
        Self(Mutex::new(Out::new(io)))
    }

    /// Puts records in, and writes once there are many.
    pub(super) async fn put(&self, put: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut out = self.0.lock().await;
        put(&mut out.buffer);
        if out.is_full() { out.flush().await } else { Ok(()) }
    }

    /// Puts records in, and writes all there are.
    pub(super) async fn send(&self, put: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut out = self.0.lock().await;
        put(&mut out.buffer);
        out.flush().await
    }

    /// Answers a record of no request: what we can do, or that we do not know it (FastCGI 1.0, section 4).
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
                    // Asked for a thousand times, they are told as often as fits.
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
