//! TLS handshakes: each connection has one request, and ends. Some threads, so that the server does not wait for one.

use std::{
    error::Error,
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};

use crate::{Outcome, REQUEST};

/// More than the server can answer at once on one CPU.
const THREADS: usize = 8;

/// How many handshakes there were, and how many of them resumed a session.
type Count = (u64, u64);

/// Connects for `time`, with a session of before where `resumes`; the server's certificate is in `file`.
pub(crate) fn handshakes(time: Duration, resumes: bool, file: &str) -> Outcome<Value> {
    let config = Arc::new(config(resumes, file)?);
    let begun = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let config = Arc::clone(&config);
            thread::spawn(move || connections(&config, begun + time).map_err(|error| error.to_string()))
        })
        .collect();
    let (mut all, mut again) = (0, 0);
    for thread in threads {
        let (one, of_these) = thread.join().map_err(|_| "a thread failed")??;
        all += one;
        again += of_these;
    }
    Ok(json!({ "requests": all, "resumed": again, "seconds": begun.elapsed().as_secs_f64() }))
}

fn config(resumes: bool, file: &str) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(file)?)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

fn connections(config: &Arc<ClientConfig>, until: Instant) -> Result<Count, Box<dyn Error>> {
    let (mut all, mut resumed) = (0, 0);
    while Instant::now() < until {
        let mut tcp = TcpStream::connect(bench::address())?;
        tcp.set_nodelay(true)?;
        let mut session = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
        Stream::new(&mut session, &mut tcp).write_all(REQUEST)?;
        let mut answer = Vec::new();
        while !answer.ends_with(bench::BODY.as_bytes()) {
            let mut piece = [0; 4096];
            let length = Stream::new(&mut session, &mut tcp).read(&mut piece)?;
            if length == 0 {
                return Err("the server closed a connection".into());
            }
            answer.extend_from_slice(&piece[..length]);
        }
        all += 1;
        resumed += u64::from(session.handshake_kind() == Some(HandshakeKind::Resumed));
    }
    Ok((all, resumed))
}
