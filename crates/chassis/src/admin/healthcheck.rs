//! `server healthcheck`: requests a probe over plain HTTP, for images without a shell or curl.
//!
//! Next: `probes`, the side that answers.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Per step; 3 s in total would be enough.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks `url` (`http://host:port/path`), or the local `/readyz` of `admin_listen`. Resolves to the first line of the
/// answer.
///
/// # Errors
/// Why there was no response with status 200.
pub(crate) fn ask(url: Option<&str>, admin_listen: &str) -> Result<String, String> {
    let (authorities, path) = match url {
        Some(url) => split(url).ok_or("expected a URL such as http://127.0.0.1:8081/readyz")?,
        None => (local(admin_listen)?, "/readyz".to_owned()),
    };
    let mut refusal = String::new();
    for authority in authorities {
        match get(&authority, &path) {
            Ok(response) => return verdict(&authority, &path, &response),
            Err(error) => refusal = format!("asking http://{authority}{path}: {error}"),
        }
    }
    Err(refusal)
}

fn verdict(authority: &str, path: &str, response: &str) -> Result<String, String> {
    let status = response.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200") || status.starts_with("HTTP/1.0 200") {
        return Ok(status.to_owned());
    }
    Err(format!("http://{authority}{path} answered: {status}"))
}

fn split(url: &str) -> Option<(Vec<String>, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let clean = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !clean(host) || !clean(path) {
        return None;
    }
    let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if port == Some(true) { host.to_owned() } else { format!("{host}:80") };
    Some((vec![authority], path.to_owned()))
}

/// Where a listener on this host is reached: by address, as not every image can resolve `localhost`.
fn local(listen: &str) -> Result<Vec<String>, String> {
    let address: SocketAddr = listen.parse().map_err(|_| "admin.listen is not an address and a port".to_owned())?;
    Ok(match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => vec![format!("127.0.0.1:{}", v4.port())],
        // Dual-stack, or IPv4 alone where the host has no IPv6.
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            vec![format!("[::1]:{}", v6.port()), format!("127.0.0.1:{}", v6.port())]
        }
        address => vec![address.to_string()],
    })
}

fn get(authority: &str, path: &str) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host name resolves to no address");
    for address in authority.to_socket_addrs()? {
        match get_from(address, authority, path) {
            Ok(response) => return Ok(response),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn get_from(address: SocketAddr, authority: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    // 64 KiB: a probe's response is far shorter, and a wrong port may stream forever.
    stream.take(64 * 1024).read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        let split = |url| split(url).map(|(authorities, path)| format!("{} {path}", authorities.join(" ")));
        assert_eq!(split("http://127.0.0.1:8081/readyz?verbose").as_deref(), Some("127.0.0.1:8081 /readyz?verbose"));
        assert_eq!(split("http://host").as_deref(), Some("host:80 /"));
        assert_eq!(split("http://[::1]:9/x").as_deref(), Some("[::1]:9 /x"));
        for bad in ["https://host/", "host:80", "http://", "http://a b/", "http://host/a b"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unspecified_listener_is_asked_on_this_host() {
        assert_eq!(local("[::]:8081").expect("an address"), ["[::1]:8081", "127.0.0.1:8081"]);
        assert_eq!(local("0.0.0.0:8081").expect("an address"), ["127.0.0.1:8081"]);
        assert_eq!(local("127.0.0.1:8081").expect("an address"), ["127.0.0.1:8081"]);
    }
}
