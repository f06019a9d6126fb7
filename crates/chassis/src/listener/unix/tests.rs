//! A socket's file: its mode, its owner, and when it goes.

use super::*;

const OURS: Access<'_> = Access { mode: "0640", owner: None };

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = Path::new("/tmp").join(format!("unix-{:x}", fastrand::u64(..)));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("app.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bind(folder: &Folder) -> io::Result<Unix> {
    shared(folder, Share::default())
}

fn shared(folder: &Folder, share: Share) -> io::Result<Unix> {
    let socket = super::bind(&folder.socket(), &OURS, 16)?;
    Unix::listen(socket, Some(&folder.socket()), Arc::new(share))
}

#[tokio::test]
async fn it_has_its_mode_accepts_and_is_removed_at_the_end() {
    let folder = Folder::new();
    let mut listener = bind(&folder).expect("binds");
    let mode = fs::metadata(folder.socket()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let _client = std::os::unix::net::UnixStream::connect(folder.socket()).expect("connects");
    listener.retire();
    assert!(!folder.socket().exists());
    assert!(listener.accept_now().expect("no error").is_some(), "what waited is still accepted");
    assert!(listener.accept_now().expect("no error").is_none());
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_retired_socket_refuses_who_had_found_it_unless_another_process_has_it() {
    for copied in [false, true] {
        let folder = Folder::new();
        let mut listener =
            shared(&folder, Share { copies: usize::from(copied).into(), ..Share::default() }).expect("binds");
        // A second name keeps it in reach, as a peer has it that looked the name up just before.
        let found = folder.0.join("found.sock");
        fs::hard_link(folder.socket(), &found).expect("links");
        let _early = std::os::unix::net::UnixStream::connect(&found).expect("connects");
        listener.retire();
        assert!(listener.accept_now().expect("no error").is_some());
        let late = std::os::unix::net::UnixStream::connect(&found).map_err(|error| error.kind());
        assert_eq!(late.err(), (!copied).then_some(ErrorKind::ConnectionRefused), "copied: {copied}");
    }
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_left_alone() {
    let folder = Folder::new();
    let _first = bind(&folder).expect("binds");
    let error = bind(&folder).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let folder = Folder::new();
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).expect("binds"));
    assert!(folder.socket().exists(), "std leaves it behind");
    let _second = bind(&folder).expect("replaces");
    std::os::unix::net::UnixStream::connect(folder.socket()).expect("connects");
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    fs::write(folder.socket(), "precious").expect("writes");
    let error = bind(&folder).expect_err("a file");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(folder.socket()).expect("still there"), "precious");
}

#[tokio::test]
async fn another_ones_socket_is_not_removed() {
    let folder = Folder::new();
    let first = bind(&folder).expect("binds");
    fs::remove_file(folder.socket()).expect("removes");
    let _second = bind(&folder).expect("binds");
    drop(first);
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn a_socket_that_another_process_has_keeps_its_file() {
    for (left, lent) in [(true, false), (false, true), (true, true)] {
        let folder = Folder::new();
        let copies = usize::from(lent).into();
        drop(shared(&folder, Share { left: left.into(), lent: lent.into(), copies }).expect("binds"));
        assert!(folder.socket().exists(), "left: {left}, lent: {lent}");
    }
}

#[tokio::test]
async fn an_owner_nobody_knows_is_an_error() {
    let folder = Folder::new();
    let access = Access { mode: "0640", owner: Some("no-such-user-here") };
    let error = super::bind(&folder.socket(), &access, 16).expect_err("unknown");
    assert!(error.to_string().contains("no-such-user-here"), "{error}");
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 0, "nothing is left behind");
}
