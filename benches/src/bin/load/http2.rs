//! HTTP/2 connections that are held: one request on each, then silence.
//!
//! The frames are those of RFC 9113, section 4.1: a length in three bytes, a type, flags, and a stream in four.

use std::{
    io::{Error, ErrorKind, Read, Result, Write},
    net::TcpStream,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// `GET /hello`: `:method`, `:scheme` from the static table of RFC 7541, `:path` and `:authority` as literals.
const FIELDS: &[u8] = b"\x82\x86\x04\x06/hello\x01\x0abench.test";

/// A connection that has had one answer, and whose settings are acknowledged.
pub(crate) fn connect() -> Result<TcpStream> {
    let mut stream = TcpStream::connect(bench::address())?;
    stream.set_nodelay(true)?;
    let mut first = PREFACE.to_vec();
    first.extend(frame(SETTINGS, 0, 0, &[]));
    first.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, FIELDS));
    stream.write_all(&first)?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            // Its first field is `:status: 200`, from the static table; nginx first says how large its own may be.
            HEADERS if !payload.contains(&0x88) => return Err(unexpected(&payload)),
            DATA if flags & END_STREAM != 0 => return Ok(stream),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

fn unexpected(fields: &[u8]) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not the answer: {fields:?}"))
}
