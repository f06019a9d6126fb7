//! The API description, `OpenAPI` 3.1, derived from the handlers' types.
//!
//! [`get`], [`post`] and the others take a handler, as in axum. Its input ([`Input`]) and output
//! ([`Output`]) come from its parameter and result types, so the description cannot differ from the code. What
//! types do not express is declared at the handler: a sentence ([`Methods::about`]), and the codes of problems that it
//! returns itself ([`Methods::problem`]). The middleware's responses are added to each operation.
//!
//! It never guesses: a type that does not describe itself does not compile, and the error names it; a result without a
//! name is said to be [`opaque`]; and a route of axum's [`MethodRouter`] has no operation, which a test reports. The document is built at the first request; a start costs nothing.
//!
//! Next: [`Operation`], the description of one method of one path.
//!
//! [`MethodRouter`]: axum::routing::MethodRouter

mod document;
mod handler;
mod input;
mod methods;
mod operation;
mod output;
mod page;
mod parts;
mod platform;
mod problems;
mod schemas;
mod security;
#[cfg(test)]
mod tests;

pub use handler::{Anything, Handler, Inputs, Opaque, opaque};
pub use input::Input;
pub use methods::{Methods, delete, get, patch, post, put};
pub use operation::Operation;
pub use output::{Output, Script, Status, Style};
pub use parts::OutputParts;
#[cfg(feature = "identity")]
pub(crate) use security::Requirement;
pub use security::Scheme;

pub(crate) use methods::Described;
pub(crate) use page::{Page, of};
