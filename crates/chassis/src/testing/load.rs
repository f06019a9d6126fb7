//! Clients that keep their connections and count what they lose.
//!
//! Next: `pending`, whose threads they share.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, header};
use http_body_util::Full;

use super::{http::Connection, pending::Pending, request::Request};

/// Some hundred requests of eight clients come within milliseconds; a busy machine may take seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Load that goes on until nobody accepts connections any more.
pub struct Load {
    answered: Arc<AtomicU64>,
    clients: Vec<Pending<Tally>>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered in full, with a status below 500.
    pub answered: u64,
    /// Answered with a status from 500 on.
    pub failed: u64,
    /// Sent, and not answered in full.
    pub lost: u64,
}

impl Load {
    /// So many clients ask for `path`, each one request after the other on a connection that it keeps as long as it may.
    ///
    /// # Panics
    /// When the path is not HTTP.
    #[must_use]
    pub fn start(address: SocketAddr, path: &str, clients: usize) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let request = Request::new(address, Method::GET, path).whole();
        let client = |_| {
            let (answered, request) = (Arc::clone(&answered), request.clone());
            Pending::start(async move { Ok(ask(address, &request, &answered).await) })
        };
        let clients = (0..clients).map(client).collect();
        Self { answered, clients }
    }

    /// Waits until `count` more requests are answered.
    ///
    /// # Panics
    /// When that takes longer than 30 s.
    pub fn answers(&self, count: u64) {
        let (wanted, deadline) = (self.answered.load(Relaxed) + count, Instant::now() + PATIENCE);
        while self.answered.load(Relaxed) < wanted {
            assert!(Instant::now() < deadline, "not {count} answers in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until no client gets a connection any more, and sums up.
    ///
    /// # Panics
    /// When a client has panicked.
    #[must_use]
    pub fn tally(self) -> Tally {
        let tallies = self.clients.into_iter().map(Pending::wait);
        tallies.fold(Tally::default(), |sum, each| Tally {
            answered: sum.answered + each.answered,
            failed: sum.failed + each.failed,
            lost: sum.lost + each.lost,
        })
    }
}

async fn ask(address: SocketAddr, request: &http::Request<Full<Bytes>>, answered: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    // A connection that is refused has lost nothing: a balancer takes the next replica.
    while let Ok(mut connection) = Connection::open(address).await {
        loop {
            let Ok(answer) = connection.ask(request.clone()).await else {
                tally.lost += 1;
                break;
            };
            answered.fetch_add(1, Relaxed);
            if answer.status < 500 {
                tally.answered += 1;
            } else {
                tally.failed += 1;
            }
            if answer.header(header::CONNECTION.as_str()) == Some("close") {
                break;
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[test]
    fn a_request_without_a_whole_answer_is_lost_and_a_refused_connection_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            // The next one is refused.
            drop(listener);
            for answer in [OK, OK, b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", &OK[..OK.len() - 1]] {
                let asked = client.read(&mut [0; 1024]).expect("a request");
                assert!(asked > 0);
                client.write_all(answer).expect("it reads");
            }
        });
        let tally = Load::start(address, "/", 1).tally();
        server.join().expect("it served");
        assert_eq!(tally, Tally { answered: 2, failed: 1, lost: 1 });
    }
}
