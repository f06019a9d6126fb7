//! The end of a TCP socket's handshakes, so that its queue can be emptied for good.
//!
//! Next: [`super::unix`].

use std::{io, os::fd::AsFd, time::Duration};

use socket2::{SockFilter, SockRef};

/// 100 ms: a handshake whose SYN was accepted takes one more round trip; within a region that is a few milliseconds.
pub(super) const LAST: Duration = Duration::from_millis(100);

/// Lets no new handshake of `socket` begin. Whoever has a copy of the socket shares this.
///
/// # Errors
/// When the kernel refuses filters.
pub(super) fn stop(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&WITHOUT_SYN)
}

/// Drops segments that only ask for a connection (RFC 9293, 3.5), in the kernel's classic filter language; the socket's
/// packet begins with the TCP header. Connections inherit it, and get no such segment.
const WITHOUT_SYN: [SockFilter; 5] = [
    // A = the flags, byte 13 of the header; BPF_LD | BPF_B | BPF_ABS.
    SockFilter::new(0x30, 0, 0, 13),
    // A &= SYN | ACK; BPF_ALU | BPF_AND | BPF_K.
    SockFilter::new(0x54, 0, 0, 0x12),
    // SYN alone? BPF_JMP | BPF_JEQ | BPF_K.
    SockFilter::new(0x15, 0, 1, 0x02),
    // Drop it, or keep all of it; BPF_RET | BPF_K.
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        sync::Arc,
        thread,
    };

    use socket2::{Domain, Socket, Type};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::listener::{Listener, Tcp, bind};

    /// What eight clients get that connect as fast as they can, until they are refused: answered and lost ones. Who
    /// stops accepting for good waits as long as it is told; here, for the end of all clients, however slow the machine.
    async fn stormed(
        mut listener: Tcp,
        connect: impl Fn() -> io::Result<Socket> + Send + Clone + 'static,
    ) -> (usize, usize) {
        let client = move || {
            let (mut answered, mut lost) = (0, 0);
            while let Ok(mut socket) = connect() {
                let asked = socket.write_all(b"?").and_then(|()| socket.read_exact(&mut [0]));
                *if asked.is_ok() { &mut answered } else { &mut lost } += 1;
            }
            (answered, lost)
        };
        let clients: Vec<_> = (0..8).map(|_| thread::spawn(client.clone())).collect();
        for _ in 0..200 {
            answer(listener.accept().await.expect("a client").0).await;
        }
        assert_eq!(listener.retire(), LAST);
        let mut counted = tokio::task::spawn_blocking(|| {
            clients.into_iter().map(|client| client.join().expect("it counts")).collect::<Vec<_>>()
        });
        let mut late = 0;
        let counts = loop {
            tokio::select! {
                accepted = listener.accept() => answer(accepted.expect("a client").0).await,
                counts = &mut counted => break counts.expect("they end"),
            }
            late += 1;
            assert!(late < 10_000, "handshakes still begin");
        };
        counts.into_iter().fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1))
    }

    async fn answer(mut stream: TcpStream) {
        let _ = stream.read_exact(&mut [0]).await;
        let _ = stream.write_all(b"!").await;
    }

    #[tokio::test]
    async fn a_stop_resets_no_connection_that_was_established() {
        for _ in 0..40 {
            let tcp = Tcp::listen(bind("127.0.0.1:0").expect("binds"), Some(16), Arc::default()).expect("listens");
            let address = tcp.local_addr().expect("bound");
            let connect = move || {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                // A dropped SYN would be sent again after a second: there is no need to wait for that.
                socket.connect_timeout(&address.into(), LAST)?;
                Ok(socket)
            };
            let (answered, lost) = stormed(tcp, connect).await;
            assert!(answered >= 200 && lost == 0, "{answered} answered, {lost} lost");
        }
    }
}
