//! Where the fields of uWSGI's request are: computed from the header that each uWSGI carries within itself, by the rules
//! of the C ABI.
//!
//! So no version's layout is mistaken for another's. It refuses an unknown layout, by name.
//!
//! Next: [`super::api`].

use std::mem::size_of;

use nix::libc::sockaddr_un;

/// Offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// `int fd`: the connection.
    pub(crate) fd: usize,
    /// `struct iovec *hvec`: names and values of the variables, by turns.
    pub(crate) parts: usize,
    /// `uint16_t var_cnt`: how many parts.
    pub(crate) count: usize,
}

impl Layout {
    /// Reads the text of `uwsgi.h`.
    ///
    /// # Errors
    /// The part that is not understood.
    pub(crate) fn read(header: &str) -> Result<Self, String> {
        let start = header.find("struct wsgi_request {").ok_or("its header has no `struct wsgi_request`")?;
        let body = without_comments(&header[start..]);
        let (mut fd, mut parts, mut offset) = (None, None, 0_usize);
        for line in body.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
            let (kind, name) = declaration(line).ok_or_else(|| unknown(line))?;
            let (size, alignment) = measure(kind).ok_or_else(|| unknown(line))?;
            offset = offset.next_multiple_of(alignment);
            match (name, kind) {
                ("fd", "int") => fd = Some(offset),
                ("hvec", "struct iovec *") => parts = Some(offset),
                ("var_cnt", "uint16_t") => {
                    let (Some(fd), Some(parts)) = (fd, parts) else { break };
                    return Ok(Self { fd, parts, count: offset });
                }
                _ => {}
            }
            offset += size;
        }
        Err("its request has no `fd`, `hvec` and `var_cnt`, in this order".to_owned())
    }
}

fn unknown(line: &str) -> String {
    format!("its request has a field that is not understood: `{line}`")
}

/// `uint16_t uri_len;` as `uint16_t` and `uri_len`; pointers keep their star.
fn declaration(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_suffix(';')?;
    let at = line.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')? + 1;
    Some((line[..at].trim_end(), &line[at..]))
}

/// Size and alignment.
fn measure(kind: &str) -> Option<(usize, usize)> {
    let word = size_of::<usize>();
    Some(match kind {
        "int" => (4, 4),
        "uint16_t" => (2, 2),
        "uint64_t" => (8, 8),
        "size_t" | "off_t" => (word, word),
        "struct sockaddr_un" => (size_of::<sockaddr_un>(), align_of::<sockaddr_un>()),
        pointer if pointer.ends_with('*') => (word, word),
        _ => return None,
    })
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        kept += &rest[..at];
        rest = rest[at..].split_once("*/").map_or("", |(_, rest)| rest);
    }
    kept += rest;
    kept.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "struct other { int fd; };\nstruct wsgi_request {\n\tint fd; // the connection\n\
        \tchar *appid;\n\tuint16_t appid_len;\n\n\t/* two\n\tlines */\n\tstruct sockaddr_un c_addr;\n\tint c_len;\n\
        \tstruct iovec *hvec;\n\tuint16_t one;\n\tuint16_t var_cnt;\n\tstruct unknown rest;\n};\n";

    #[test]
    fn fields_are_where_a_c_compiler_puts_them() {
        #[repr(C)]
        struct Expected {
            fd: i32,
            appid: usize,
            appid_len: u16,
            address: sockaddr_un,
            length: i32,
            parts: usize,
            one: u16,
            count: u16,
        }
        let expected = Layout {
            fd: std::mem::offset_of!(Expected, fd),
            parts: std::mem::offset_of!(Expected, parts),
            count: std::mem::offset_of!(Expected, count),
        };
        assert_eq!(Layout::read(HEADER), Ok(expected));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (old, new, told) in [
            ("char *appid", "struct new_thing appid", "struct new_thing appid"),
            ("\tint c_len;", "#ifdef X", "#ifdef X"),
            ("struct iovec *hvec", "struct list *hvec", "no `fd`, `hvec` and `var_cnt`"),
            ("struct wsgi_request {", "struct request {", "no `struct wsgi_request`"),
        ] {
            let error = Layout::read(&HEADER.replace(old, new)).expect_err(new);
            assert!(error.contains(told), "{error}");
        }
    }
}
