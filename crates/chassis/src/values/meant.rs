//! The listen URL that was probably meant by a text that is none, for its error.
//!
//! Errors never repeat a value, since it may be a misplaced secret. A guess is made only where the text has a port in
//! digits, an address, or a path, and nothing that could be a password; it is always a URL that [`listen::parse`] takes.
//!
//! Next: [`super::encoding`].

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::Path,
};

use super::listen::{self, Door, Refusal};

/// The URL that `text` was meant to be: `http://0.0.0.0:9090` for `0.0.0.0:9090`.
pub(crate) fn url(text: &str) -> Option<String> {
    // Quotes stay in what a container runtime reads as an environment file.
    let text = text.trim().trim_matches(['"', '\'']).replace('\\', "/");
    let (words, rest) = Words::read(&text);
    let scheme = words.door.scheme();
    let is_socket = Path::new(&text).extension().is_some_and(|ending| ending == "sock");
    let is_path = text.starts_with('/') || text.contains(":/") && is_socket;
    let guess = match words.carrier {
        Carrier::Unix => format!("{scheme}+unix://{}", path(rest)),
        Carrier::Tcp if is_path => format!("{scheme}+unix://{}", path(rest)),
        Carrier::Tcp => format!("{scheme}://{}", authority(rest, words.door)?),
        Carrier::Descriptor => format!("{scheme}+fd://{}", descriptor(rest)),
    };
    matches!(listen::parse(&guess), Ok(_) | Err(Refusal::Features(_))).then_some(guess)
}

/// `message`, with the guess behind it.
pub(crate) fn with_guess(message: &str, guess: Option<String>) -> String {
    guess.map_or_else(|| message.to_owned(), |guess| format!("{message}; did you mean {guess}?"))
}

/// The same as [`url`] for a key that takes an IP address and a port.
pub(crate) fn address(text: &str) -> Option<String> {
    let url = url(text)?;
    let authority = url.strip_prefix("http://")?.replace("localhost", "127.0.0.1");
    authority.parse::<SocketAddr>().is_ok().then_some(authority)
}

enum Carrier {
    Tcp,
    Unix,
    Descriptor,
}

/// The words of a scheme, in any order, each before a `+` or a `:`; other servers write `unix:/run/app.sock`.
struct Words {
    door: Door,
    carrier: Carrier,
}

impl Words {
    /// With what stands behind them and their slashes.
    fn read(text: &str) -> (Self, &str) {
        let mut words = Self { door: Door::Http, carrier: Carrier::Tcp };
        let mut rest = text;
        while let Some((scheme, behind)) = rest.find([':', '/']).map(|at| rest.split_at(at))
            && scheme.split('+').all(|word| words.take(&word.to_ascii_lowercase()))
        {
            rest = behind.strip_prefix(':').unwrap_or(behind).trim_start_matches('/');
        }
        (words, rest)
    }

    fn take(&mut self, word: &str) -> bool {
        match word {
            "http" | "http2" | "h2" | "h2c" | "ws" | "grpc" => self.door = Door::Http,
            "https" | "tls" | "ssl" | "wss" | "grpcs" => self.door = Door::Https,
            "fastcgi" | "fcgi" => self.door = Door::Fastcgi,
            "uwsgi" => self.door = Door::Uwsgi,
            "tcp" => self.carrier = Carrier::Tcp,
            "unix" => self.carrier = Carrier::Unix,
            "fd" | "systemd" => self.carrier = Carrier::Descriptor,
            _ => return false,
        }
        true
    }
}

/// An absolute path; clients write it with `%2F` in the place of a host.
fn path(rest: &str) -> String {
    format!("/{}", rest.replace("%2F", "/").replace("%2f", "/").trim_matches(['/', ':']))
}

/// Other servers give the descriptor's own number; the first that is inherited is 3 there, and 0 here.
fn descriptor(rest: &str) -> String {
    match rest.parse::<u32>() {
        Ok(number @ 3..) => (number - 3).to_string(),
        _ => rest.to_owned(),
    }
}

fn authority(rest: &str, door: Door) -> Option<String> {
    let rest = rest.split(['/', '?', '#']).next()?;
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let (host, port) = match rest.rsplit_once(':') {
        // `::1` has colons, but none that leads to a port.
        Some((host, port)) if is_port(port) && (!host.ends_with(':') || host == "::" || host.is_empty()) => {
            (host, Some(port))
        }
        None if is_port(rest) => ("", Some(rest)),
        _ => (rest, None),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let shown = match bare {
        "" | "*" | "+" => "[::]".to_owned(),
        bare if bare.parse::<Ipv6Addr>().is_ok() => format!("[{bare}]"),
        bare => bare.to_owned(),
    };
    // A word without a port could be anything.
    let is_address = bare.parse::<IpAddr>().is_ok() || bare == "localhost";
    match port {
        Some(port) => Some(format!("{shown}:{port}")),
        None if is_address => Some(format!("{shown}:{}", usual_port(door))),
        None => None,
    }
}

/// What examples of each protocol use; ours is that of HTTP.
const fn usual_port(door: Door) -> u16 {
    match door {
        Door::Http => 8080,
        Door::Https => 8443,
        Door::Fastcgi => 9000,
        Door::Uwsgi => 3031,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_servers_take_is_answered_with_the_url_that_was_meant() {
        for (text, meant) in [
            // No scheme, or no host.
            ("0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("localhost:9090", "http://localhost:9090"),
            ("[::]:9090", "http://[::]:9090"),
            (":9090", "http://[::]:9090"),
            ("9090", "http://[::]:9090"),
            ("*:9090", "http://[::]:9090"),
            (":::9090", "http://[::]:9090"),
            ("http://:9090", "http://[::]:9090"),
            ("http://*:9090", "http://[::]:9090"),
            ("http://+:9090/", "http://[::]:9090"),
            ("\"http://0.0.0.0:9090\"", "http://0.0.0.0:9090"),
            // No port.
            ("0.0.0.0", "http://0.0.0.0:8080"),
            ("::", "http://[::]:8080"),
            ("::1", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]:8080"),
            ("http://localhost/", "http://localhost:8080"),
            ("fastcgi://127.0.0.1", "fastcgi://127.0.0.1:9000"),
            // An IPv6 address without its brackets.
            ("http://::1:9090", "http://[::1]:9090"),
            // Slashes, and more than an origin.
            ("http:0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("http:/0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("http//0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("http:///0.0.0.0:9090", "http://0.0.0.0:9090"),
            (r"http:\\0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("http://0.0.0.0:9090/path?query", "http://0.0.0.0:9090"),
            ("uwsgi:0.0.0.0:3031", "uwsgi://0.0.0.0:3031"),
            // Schemes of others.
            ("tcp://0.0.0.0:9090", "http://0.0.0.0:9090"),
            ("http+tcp://h:1", "http://h:1"),
            ("fcgi://127.0.0.1:9000", "fastcgi://127.0.0.1:9000"),
            ("ssl://0.0.0.0:8443", "https://0.0.0.0:8443"),
            ("h2c://[::]:9090", "http://[::]:9090"),
            // Unix sockets.
            ("/run/app.sock", "http+unix:///run/app.sock"),
            ("unix:/run/app.sock", "http+unix:///run/app.sock"),
            ("unix:///run/app.sock", "http+unix:///run/app.sock"),
            ("http://unix:/run/app.sock:", "http+unix:///run/app.sock"),
            ("http+unix:/run/app.sock", "http+unix:///run/app.sock"),
            ("http+unix://run/app.sock", "http+unix:///run/app.sock"),
            ("http+unix://%2Frun%2Fapp.sock", "http+unix:///run/app.sock"),
            ("unix+http:///run/app.sock", "http+unix:///run/app.sock"),
            ("uwsgi:unix:/run/app.sock", "uwsgi+unix:///run/app.sock"),
            ("fastcgi:/run/app.sock", "fastcgi+unix:///run/app.sock"),
            // Descriptors.
            ("fd://3", "http+fd://0"),
            ("systemd:web", "http+fd://web"),
            ("http+fd:web", "http+fd://web"),
        ] {
            assert_eq!(url(text).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed_of_what_may_be_a_secret_or_has_no_listener() {
        for text in [
            "",
            "hunter2",
            "hunter2-secret",
            "http://u:hunter2@h:80",
            "u:hunter2",
            "http://host",
            "http://h:65536",
            "ftp://h:1",
            "ftp://[::]:80",
            "relative/app.sock",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_guessed_too() {
        for (text, meant) in [
            ("8081", "[::]:8081"),
            (":8081", "[::]:8081"),
            ("localhost:8081", "127.0.0.1:8081"),
            ("http://[::]:8081", "[::]:8081"),
            ("*:8081", "[::]:8081"),
        ] {
            assert_eq!(address(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["", "host:8081", "unix:/run/admin.sock", "https://[::]:8081"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
