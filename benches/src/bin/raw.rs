//! The floor, and the canary: one thread, one epoll, a fixed answer for whatever ends in an empty line.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, RawFd},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\n\
    date: Tue, 01 Jan 2030 00:00:00 GMT\r\n\r\nHello, World!";

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(bench::address())?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let readable = |fd: RawFd| EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(fd).unwrap_or_default());
    epoll.add(&listener, readable(listener.as_raw_fd()))?;
    // By file descriptor.
    let mut open: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0; 4096];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            let at = usize::try_from(event.data()).unwrap_or_default();
            if let Some(Some(stream)) = open.get_mut(at) {
                if !answer(stream, &mut buffer) {
                    open[at] = None;
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll.add(&stream, readable(stream.as_raw_fd()))?;
                let at = usize::try_from(stream.as_raw_fd()).unwrap_or_default();
                if open.len() <= at {
                    open.resize_with(at + 1, || None);
                }
                open[at] = Some(stream);
            }
        }
    }
}

/// Whether the connection goes on. Requests come whole here: the load generator writes each at once.
fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    match stream.read(buffer) {
        Ok(length) if buffer[..length].ends_with(b"\r\n\r\n") => stream.write_all(ANSWER).is_ok(),
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
