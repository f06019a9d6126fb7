//! The API's description, `OpenAPI` 3.1, read off the handlers' own types.
//!
//! [`get`], [`post`] and the others take a handler as axum's do. What it takes ([`Input`]) and what it answers
//! ([`Output`]) are its parameters' types and its result's, so the description cannot say other than the compiler. What
//! types do not tell stands beside the handler: one sentence ([`Methods::about`]), and the codes of problems that it
//! makes itself ([`Methods::problem`]). What the middleware answers in front of every handler is added to each.
//!
//! It refuses to guess: a type that does not describe itself does not compile, and a route of axum's own [`MethodRouter`]
//! has no operation, which a test of the repository names. It is built when it is first asked for; a start costs nothing.
//!
//! Next: [`Operation`], what is said of one method of one path.
//!
//! [`MethodRouter`]: axum::routing::MethodRouter

mod document;
mod input;
mod methods;
mod operation;
mod output;
mod page;
mod platform;
mod problems;
mod schemas;
#[cfg(test)]
mod tests;

pub use input::Input;
pub use methods::{Handler, Methods, delete, get, patch, post, put};
pub use operation::Operation;
pub use output::{Output, Script, Status, Style};

pub(crate) use methods::Described;
pub(crate) use page::{Page, of};
