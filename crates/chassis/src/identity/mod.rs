//! Who calls: guards on groups of routes, and what handlers learn of the caller.
//!
//! A [`Guard`] admits a request that proves who sends it: with a token of an `OpenID` Connect issuer (`Oidc`, the cargo feature
//! `oidc`), a token that its issuer is asked about ([`Introspection`]), an API key ([`ApiKeys`]), or a client certificate
//! ([`ClientCertificates`]). [`Router::protected`](crate::router::Router::protected) puts it around the routes so far and into
//! the description at once, so that neither can be forgotten. Handlers take [`Caller`], or [`Claims`] of a type.
//!
//! It issues nothing and keeps no sessions. Who may do what with which row is for handlers: a guard knows scopes and names.
//!
//! Next: [`Guard`].

mod bearer;
mod cache;
mod caller;
mod certificates;
mod guard;
mod introspection;
mod key;
mod keys;
#[cfg(feature = "oidc")]
mod oidc;
mod protected;
mod refusal;

pub use caller::{Caller, Claims};
pub use certificates::ClientCertificates;
pub use guard::Guard;
pub use introspection::{Introspection, IntrospectionSettings};
pub use key::{ApiKey, KeyDigest};
pub use keys::ApiKeys;
#[cfg(feature = "oidc")]
pub use oidc::{Oidc, OidcSettings};

use crate::{health::DuplicateCheck, upstream::UpstreamError};

/// Why a guard cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The issuer cannot be called.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A health check of the guard's name is there.
    #[error(transparent)]
    Check(#[from] DuplicateCheck),
    /// Metrics of the guard's name are there.
    #[error("registering a metric: {0}")]
    Metrics(#[from] prometheus::Error),
}
