//! A peer that speaks FastCGI record by record.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::server::Server;

pub(crate) const BEGIN: u8 = 1;
pub(crate) const ABORT: u8 = 2;
pub(crate) const END: u8 = 3;
pub(crate) const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
pub(crate) const GET_VALUES: u8 = 9;
pub(crate) const GET_VALUES_RESULT: u8 = 10;
pub(crate) const UNKNOWN_TYPE: u8 = 11;

pub(crate) const KEEP: u8 = 1;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) id: u16,
    pub(crate) content: Vec<u8>,
}

pub(crate) fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short content").to_be_bytes();
    let mut bytes = vec![1, kind, id.to_be_bytes()[0], id.to_be_bytes()[1], length[0], length[1], padding, 0];
    bytes.extend(content);
    bytes.extend(vec![0xee; padding.into()]);
    bytes
}

pub(crate) fn begin(id: u16, role: u8, flags: u8) -> Vec<u8> {
    record(BEGIN, id, &[0, role, flags, 0, 0, 0, 0, 0], 0)
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        for text in [name, value] {
            let length = u32::try_from(text.len()).expect("a text");
            match u8::try_from(length) {
                Ok(short) if short < 128 => bytes.push(short),
                _ => bytes.extend((length | 0x8000_0000).to_be_bytes()),
            }
        }
        bytes.extend(name.bytes().chain(value.bytes()));
    }
    bytes
}

/// A whole request without a body.
pub(crate) fn request(id: u16, flags: u8, method: &str, target: &str) -> Vec<u8> {
    let variables = pairs(&[("REQUEST_METHOD", method), ("REQUEST_URI", target)]);
    [begin(id, 1, flags), record(PARAMS, id, &variables, 0), record(PARAMS, id, b"", 0), record(STDIN, id, b"", 0)]
        .concat()
}

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn open(server: &Server) -> Self {
        let url = server.urls()[0].clone();
        Self(TcpStream::connect(url.trim_start_matches("fastcgi://")).await.expect("connecting"))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sending");
    }

    /// The next record; none where the connection ended.
    pub(crate) async fn record(&mut self) -> Option<Record> {
        let read = async {
            let mut head = [0; 8];
            self.0.read_exact(&mut head).await.ok()?;
            assert_eq!(head[0], 1, "a record of version 1");
            let mut content = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
            self.0.read_exact(&mut content).await.ok()?;
            let mut padding = vec![0; head[6].into()];
            self.0.read_exact(&mut padding).await.ok()?;
            Some(Record { kind: head[1], id: u16::from_be_bytes([head[2], head[3]]), content })
        };
        timeout(Duration::from_secs(10), read).await.expect("a record in time")
    }

    /// The text of the response to request `id`, to its end.
    pub(crate) async fn response(&mut self, id: u16) -> String {
        String::from_utf8(self.response_bytes(id).await).expect("a text")
    }

    pub(crate) async fn response_bytes(&mut self, id: u16) -> Vec<u8> {
        self.response_if_any(id).await.expect("a response to its end")
    }

    /// None where the connection ends before the response does.
    pub(crate) async fn response_if_any(&mut self, id: u16) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let record = self.record().await?;
            assert_eq!(record.id, id, "{record:?}");
            match record.kind {
                STDOUT => text.extend(record.content),
                END => {
                    assert_eq!(record.content, [0; 8]);
                    return Some(text);
                }
                kind => panic!("a record of type {kind}"),
            }
        }
    }
}

pub(crate) async fn server(settings: &[(&str, &str)]) -> Server {
    // The harness reads a listener's address from its URL, whatever the scheme.
    let mut all = vec![("APP__SERVER__LISTEN", "fastcgi://127.0.0.1:0")];
    all.extend_from_slice(settings);
    Server::start_example("battery", &all).await
}
