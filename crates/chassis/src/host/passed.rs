//! Inherited descriptors: from systemd (`sd_listen_fds(3)`), or from the old process of a restart.
//!
//! `LISTEN_FDS` is their number, from descriptor 3 on; `LISTEN_FDNAMES` has the names, colon-separated. An old process
//! names each by its listen URL without colons, and adds a link to itself. If nothing is passed this way,
//! descriptor 0 may be a socket, as `spawn-fcgi` leaves it.
//!
//! Next: [`super::sockets`].

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
};

use listenfd::ListenFd;
use nix::{
    libc::{AF_UNIX, SOCK_STREAM},
    unistd::dup2_stdin,
};
use socket2::Socket;

use crate::{listener::unix::Id, process::Environment};

/// The name of the link to the old process. No URL has this form, and no socket unit should use the name.
pub(super) const LINK: &str = "%predecessor";

/// Inherited descriptors that are not taken yet.
pub(super) struct Passed {
    descriptors: ListenFd,
    /// One entry per descriptor; none once it was taken.
    names: Vec<Option<String>>,
}

impl Passed {
    /// Takes the descriptors listed in the environment. `LISTEN_FDS` and `LISTEN_PID` leave the environment.
    pub(super) fn take(environment: &Environment) -> Self {
        let descriptors = ListenFd::from_env();
        let mut names = environment.get("LISTEN_FDNAMES").unwrap_or_default().split(':');
        // `unknown`: what systemd calls one without a name.
        let names = (0..descriptors.len()).map(|_| Some(names.next().unwrap_or("unknown").to_owned())).collect();
        Self { descriptors, names }
    }

    /// Nothing is inherited.
    pub(super) fn nothing() -> Self {
        Self { descriptors: ListenFd::empty(), names: Vec::new() }
    }

    /// The link to the old process, if any.
    pub(super) fn link(&mut self) -> io::Result<Option<UnixStream>> {
        let Some(at) = self.find(LINK) else { return Ok(None) };
        self.names[at] = None;
        self.descriptors.take_custom(at, AF_UNIX, SOCK_STREAM, "unix stream socket")
    }

    /// The listener called `name`. Several of one name are an error: a socket unit gives its name to each `ListenStream=`,
    /// and clients of one that is not served would wait in its queue.
    pub(super) fn named(&mut self, name: &str) -> io::Result<Option<Socket>> {
        let named: Vec<usize> = (0..self.names.len()).filter(|at| self.names[*at].as_deref() == Some(name)).collect();
        match named[..] {
            [] => Ok(None),
            [at] => self.numbered(at),
            _ => Err(several(&named)),
        }
    }

    /// The listener number `at`, from 0: a TCP socket, or a Unix socket.
    pub(super) fn numbered(&mut self, at: usize) -> io::Result<Option<Socket>> {
        let listener = match self.descriptors.take_tcp_listener(at) {
            Ok(listener) => listener.map(Socket::from),
            Err(_) => self.descriptors.take_unix_listener(at).map_err(|error| neither(&error))?.map(Socket::from),
        };
        if listener.is_some() {
            self.names[at] = None;
        }
        Ok(listener)
    }

    /// Whether the service manager passed nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names of unused descriptors.
    pub(super) fn unused(&self) -> Vec<String> {
        self.names.iter().flatten().cloned().collect()
    }

    /// Closes unused descriptors: a listener removed from the settings must not outlive the old process.
    pub(super) fn close_rest(&mut self) {
        for at in 0..self.names.len() {
            let name = self.names[at].clone();
            if let Some(name) = name
                && let Err(error) = self.numbered(at)
            {
                tracing::warn!(%error, name, "cannot close an inherited descriptor");
            }
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other.as_deref() == Some(name))
    }
}

/// Descriptor 0, if it is listening: FastCGI process managers pass a socket this way (`FCGI_LISTENSOCK_FILENO`).
pub(super) fn standard_input() -> io::Result<Option<Socket>> {
    let socket = Socket::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Only sockets have this option.
    if !socket.is_listener().unwrap_or(false) {
        return Ok(None);
    }
    // A second handle would keep the queue open after a drain.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(Some(socket))
}

fn several(named: &[usize]) -> io::Error {
    let urls: Vec<String> = named.iter().map(|at| format!("http+fd://{at}")).collect();
    let message =
        format!("{} inherited descriptors have this name: list them by number, {}", urls.len(), urls.join(","));
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn neither(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the inherited descriptor is not a TCP socket; as a Unix socket: {error}"))
}

/// A Unix socket's name includes its file's id: a socket whose file was removed or replaced is unreachable.
pub(super) fn name_with_id(url: &str, (device, inode): Id) -> String {
    // No name of a URL has a `%` before such a letter.
    format!("{}%at{device}.{inode}", name_of(url))
}

/// A URL as a descriptor's name: the list of names is written with colons, and the link's words with spaces.
pub(super) fn name_of(url: &str) -> String {
    let mut name = String::with_capacity(url.len() + 8);
    for letter in url.chars() {
        match letter {
            ':' => name.push_str("%3A"),
            '%' => name.push_str("%25"),
            ' ' => name.push_str("%20"),
            letter => name.push(letter),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_no_separator_and_differs_where_the_url_does() {
        assert_eq!(name_of("http://[::]:80"), "http%3A//[%3A%3A]%3A80");
        assert_ne!(name_of("http://a%3A80"), name_of("http://a:80"));
        assert_ne!(name_with_id("http+unix:///a", (1, 23)), name_with_id("http+unix:///a", (12, 3)));
    }
}
