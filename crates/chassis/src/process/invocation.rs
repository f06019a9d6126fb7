//! How this process was started, so that it can be started again.
//!
//! Next: [`super::signals`].

use std::{env, ffi::OsString, io, path::Path};

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// An absolute path, or a name to look up on `PATH`. A symlink is not resolved: its target may change.
    pub program: OsString,
    /// Without the program's name.
    pub arguments: Vec<OsString>,
}

impl Invocation {
    /// That of this process, in its present directory.
    #[must_use]
    pub(crate) fn capture() -> Self {
        Self::new(env::args_os(), env::current_dir())
    }

    fn new(mut arguments: impl Iterator<Item = OsString>, directory: io::Result<std::path::PathBuf>) -> Self {
        let name = arguments.next().unwrap_or_default();
        // A bare name was found on PATH, and is found there again.
        let is_path = name.as_encoded_bytes().contains(&b'/');
        let program = match directory {
            Ok(directory) if is_path => directory.join(Path::new(&name)).into(),
            _ => name,
        };
        Self { program, arguments: arguments.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_wherever_the_process_goes_and_a_name_stays_a_name() {
        for (name, program) in [("/bin/server", "/bin/server"), ("./server", "/srv/./server"), ("server", "server")] {
            let invocation = Invocation::new(
                ["a", "b"]
                    .iter()
                    .fold(vec![name.into()], |mut all, next| {
                        all.push(OsString::from(next));
                        all
                    })
                    .into_iter(),
                Ok("/srv".into()),
            );
            assert_eq!(invocation.program, program);
            assert_eq!(invocation.arguments, ["a", "b"]);
        }
    }
}
