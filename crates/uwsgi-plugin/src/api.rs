//! uWSGI's functions and its request, behind safe names.
//!
//! The functions are looked up in the process at the start, so that a missing one is reported by name. Of the request
//! two fields are read; where they are is computed from the header that uWSGI carries within itself ([`super::layout`]).
//!
//! Next: [`super::serve`].

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    mem,
    os::fd::{BorrowedFd, RawFd},
    ptr, slice,
};

use bytes::Bytes;
use nix::libc::{self, iovec};

use crate::{Raw, layout::Layout};

type GetText = unsafe extern "C" fn() -> *mut c_char;
type OfRequest = unsafe extern "C" fn(Raw) -> c_int;
type Send = unsafe extern "C" fn(Raw, *mut c_char, u16) -> c_int;
type SendPair = unsafe extern "C" fn(Raw, *mut c_char, u16, *mut c_char, u16) -> c_int;
type SendBody = unsafe extern "C" fn(Raw, *mut c_char, usize) -> c_int;
type ReadBody = unsafe extern "C" fn(Raw, isize, *mut isize) -> *mut c_char;
type ReadChunk = unsafe extern "C" fn(Raw, *mut usize, c_int, c_int) -> *mut c_char;

/// The uWSGI functions in use.
pub(crate) struct Api {
    layout: Layout,
    parse_vars: OfRequest,
    prepare_headers: Send,
    add_header: SendPair,
    write_headers: OfRequest,
    write_body: SendBody,
    read_body: ReadBody,
    read_chunk: ReadChunk,
}

/// The address of a function of this process.
fn symbol(name: &str) -> Result<*mut c_void, String> {
    let c_name = CString::new(name).expect("a name without a zero");
    // SAFETY: the name ends with a zero, and looking it up has no other effect.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c_name.as_ptr()) };
    if found.is_null() { Err(format!("this process has no `{name}`: is it uWSGI 2.0?")) } else { Ok(found) }
}

macro_rules! function {
    ($name:literal as $kind:ty) => {{
        let found = symbol($name)?;
        // SAFETY: uWSGI 2.0 declares the function of this name so; `Api::find` has seen that it is uWSGI 2.0.
        unsafe { mem::transmute::<*mut c_void, $kind>(found) }
    }};
}

impl Api {
    /// Looks everything up.
    ///
    /// # Errors
    /// A process that is not uWSGI 2.0, or whose request layout is unknown.
    pub(crate) fn find() -> Result<Self, String> {
        let flags = text("uwsgi_get_cflags")?;
        if !flags.contains("UWSGI_VERSION_BASE=\"2\"") || !flags.contains("UWSGI_VERSION_MAJOR=\"0\"") {
            return Err(format!("made for uWSGI 2.0; this one was built with {flags}"));
        }
        Ok(Self {
            layout: Layout::read(&text("uwsgi_get_dot_h")?)?,
            parse_vars: function!("uwsgi_parse_vars" as OfRequest),
            prepare_headers: function!("uwsgi_response_prepare_headers" as Send),
            add_header: function!("uwsgi_response_add_header" as SendPair),
            write_headers: function!("uwsgi_response_write_headers_do" as OfRequest),
            write_body: function!("uwsgi_response_write_body_do" as SendBody),
            read_body: function!("uwsgi_request_body_read" as ReadBody),
            read_chunk: function!("uwsgi_chunked_read" as ReadChunk),
        })
    }
}

/// The text returned by a uWSGI function.
fn text(name: &str) -> Result<String, String> {
    let found = symbol(name)?;
    // SAFETY: both functions that are asked so take nothing and return a text, in every version that has them.
    let get = unsafe { mem::transmute::<*mut c_void, GetText>(found) };
    // SAFETY: they read what is compiled in.
    let said = unsafe { get() };
    if said.is_null() {
        return Err(format!("`{name}` says nothing"));
    }
    // SAFETY: it ends with a zero, and nobody frees it.
    let said = unsafe { CStr::from_ptr(said) };
    Ok(said.to_string_lossy().into_owned())
}

/// The peer is gone, or violated the protocol.
#[derive(Debug)]
pub(crate) struct Gone;

/// A name and its value.
pub(crate) type Variable = (Vec<u8>, Vec<u8>);

/// A request, for as long as uWSGI waits for its handler.
pub(crate) struct Request<'a> {
    api: &'a Api,
    raw: Raw,
}

impl<'a> Request<'a> {
    /// # Safety
    /// `raw` is what uWSGI passed to its handler of requests, which has not returned yet.
    pub(crate) unsafe fn new(api: &'a Api, raw: Raw) -> Self {
        Self { api, raw }
    }

    /// Its variables, in the order in which they came.
    pub(crate) fn variables(&mut self) -> Result<Vec<Variable>, Gone> {
        // SAFETY: it is uWSGI's own request, by `new`.
        done(unsafe { (self.api.parse_vars)(self.raw) })?;
        // SAFETY: the fields are there in this uWSGI, by `Layout::read`, and of these types.
        let count = unsafe { self.field::<u16>(self.api.layout.count).read() };
        // SAFETY: as above.
        let parts = unsafe { self.field::<*const iovec>(self.api.layout.parts).read() };
        if count == 0 || parts.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: uWSGI filled in as many, names and values by turns.
        let parts = unsafe { slice::from_raw_parts(parts, usize::from(count)) };
        Ok(parts.chunks_exact(2).map(|pair| (copy(&pair[0]), copy(&pair[1]))).collect())
    }

    fn field<T>(&self, offset: usize) -> *const T {
        self.raw.cast_const().wrapping_byte_add(offset).cast()
    }

    /// At most `most` bytes of the body; none at its end. Waits for the peer.
    pub(crate) fn read(&mut self, most: usize) -> Result<Bytes, Gone> {
        let mut length = 0_isize;
        let most = isize::try_from(most).unwrap_or(isize::MAX);
        // SAFETY: it is uWSGI's own request, and the length is ours to write to.
        let data = unsafe { (self.api.read_body)(self.raw, most, &raw mut length) };
        taken(data, usize::try_from(length).map_err(|_| Gone)?)
    }

    /// The next chunk of a body in chunks; empty at its end. Waits for the peer.
    pub(crate) fn read_chunk(&mut self) -> Result<Bytes, Gone> {
        let mut length = 0_usize;
        // SAFETY: it is uWSGI's own request, and the length is ours to write to; uWSGI's own timeout holds for 0.
        let data = unsafe { (self.api.read_chunk)(self.raw, &raw mut length, 0, 0) };
        taken(data, length)
    }

    /// The status line, as `200 OK`.
    pub(crate) fn status(&mut self, status: &str) -> Result<(), Gone> {
        let length = u16::try_from(status.len()).map_err(|_| Gone)?;
        // SAFETY: uWSGI copies the text within the call and writes nothing to it.
        done(unsafe { (self.api.prepare_headers)(self.raw, chars(status.as_bytes()), length) })
    }

    pub(crate) fn header(&mut self, name: &str, value: &[u8]) -> Result<(), Gone> {
        let name_length = u16::try_from(name.len()).map_err(|_| Gone)?;
        let value_length = u16::try_from(value.len()).map_err(|_| Gone)?;
        let (name, value) = (chars(name.as_bytes()), chars(value));
        // SAFETY: as in `status`.
        done(unsafe { (self.api.add_header)(self.raw, name, name_length, value, value_length) })
    }

    /// Sends the head now.
    pub(crate) fn send_head(&mut self) -> Result<(), Gone> {
        // SAFETY: it is uWSGI's own request.
        done(unsafe { (self.api.write_headers)(self.raw) })
    }

    /// Sends a part of the body. Waits for the peer.
    pub(crate) fn send(&mut self, part: &[u8]) -> Result<(), Gone> {
        // SAFETY: uWSGI sends or copies the bytes within the call and writes nothing to them.
        done(unsafe { (self.api.write_body)(self.raw, chars(part), part.len()) })
    }

    /// The connection that it came on.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the field is there, by `Layout::read`.
        let fd: RawFd = unsafe { self.field::<c_int>(self.api.layout.fd).read() };
        // SAFETY: uWSGI closes it after the handler has returned.
        (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }
}

fn chars(bytes: &[u8]) -> *mut c_char {
    ptr::from_ref(bytes).cast::<c_char>().cast_mut()
}

fn done(result: c_int) -> Result<(), Gone> {
    if result < 0 { Err(Gone) } else { Ok(()) }
}

fn taken(data: *mut c_char, length: usize) -> Result<Bytes, Gone> {
    if data.is_null() {
        return Err(Gone);
    }
    // SAFETY: uWSGI says how many bytes are there, and keeps them until it is asked for more.
    Ok(Bytes::copy_from_slice(unsafe { slice::from_raw_parts(data.cast_const().cast(), length) }))
}

fn copy(part: &iovec) -> Vec<u8> {
    if part.iov_base.is_null() || part.iov_len == 0 {
        return Vec::new();
    }
    // SAFETY: uWSGI's parts lie in the request's buffer, which lives as long as the request.
    unsafe { slice::from_raw_parts(part.iov_base.cast_const().cast::<u8>(), part.iov_len) }.to_vec()
}
