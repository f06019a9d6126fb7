//! A client's side of TLS: plain connections in, one of TLS out for each. It hides nothing: where the server ends a
//! connection, or refuses a handshake, the plain one ends.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Trusts the authority in the file `authority`; `own` are the files of a client's certificate and key.
pub(super) fn client(authority: &Path, own: Option<(&Path, &Path)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a client's certificate")
        }
    };
    // Each connection is to show the server's certificate.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

pub(super) async fn connect(server: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

pub(super) struct Tunnel {
    /// Where plain clients go.
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<BTreeMap<Vec<u8>, u64>>>,
    task: AbortHandle,
}

impl Tunnel {
    pub(super) async fn to(server: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding any port");
        let address = listener.local_addr().expect("a bound address");
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let shown = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut plain, _)) = listener.accept().await {
                let (config, shown) = (Arc::clone(&config), Arc::clone(&shown));
                connections.spawn(async move {
                    let _ = plain.set_nodelay(true);
                    let Ok(mut secure) = connect(server, &config).await else { return };
                    let chain = secure.get_ref().1.peer_certificates().expect("the server's certificate");
                    *shown.lock().expect("certificates").entry(chain[0].to_vec()).or_default() += 1;
                    let _ = copy_bidirectional(&mut plain, &mut secure).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, seen, task: task.abort_handle() }
    }

    /// How many connections were shown the certificate in the file `certificate`.
    pub(super) fn shown(&self, certificate: &Path) -> u64 {
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        self.seen.lock().expect("certificates").get(certificate.as_ref()).copied().unwrap_or_default()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
