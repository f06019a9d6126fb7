//! Ways to prove who sends a request, of which one is enough.
//!
//! Next: [`super::refusal`].

use std::{fmt, pin::Pin, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use tracing::info;

use super::{Caller, refusal::Refusal};
use crate::{
    openapi::{Requirement, Scheme},
    problem::Problem,
};

/// A proof, while it is looked for.
pub(super) type Proof<'a> = Pin<Box<dyn Future<Output = Result<Caller, Refusal>> + Send + 'a>>;

/// Reads from a request's head who sends it.
pub(super) trait Prove: Send + Sync + 'static {
    fn prove<'a>(&'a self, head: &'a Parts) -> Proof<'a>;
}

/// What a request must prove to reach the routes behind it; clones share it.
#[derive(Clone)]
#[must_use = "it guards nothing until `Router::protected` or `Methods::protected` takes it"]
pub struct Guard(Arc<[Way]>);

/// One way to prove it.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) scheme: Scheme,
    pub(super) scopes: Vec<&'static str>,
    pub(super) prover: Arc<dyn Prove>,
}

impl Guard {
    pub(super) fn new(name: &'static str, scheme: Scheme, scopes: &[&'static str], prover: Arc<dyn Prove>) -> Self {
        Self(Arc::new([Way { name, scheme, scopes: scopes.to_vec(), prover }]))
    }

    /// Admits what either of the two admits. They are tried in their order.
    #[expect(clippy::needless_pass_by_value, reason = "a guard is made where it is used, and so is the other")]
    pub fn or(self, other: Self) -> Self {
        Self(self.0.iter().chain(other.0.iter()).cloned().collect())
    }

    /// For the description.
    pub(super) fn requirements(&self) -> Vec<Requirement> {
        let requirement = |way: &Way| Requirement { name: way.name, scheme: way.scheme, scopes: way.scopes.clone() };
        self.0.iter().map(requirement).collect()
    }

    /// The first way that admits decides; else the gravest refusal is what the client sees.
    async fn admit(&self, head: &Parts) -> Result<Caller, Response> {
        let mut gravest = (Refusal::Missing, &self.0[0]);
        for way in self.0.iter() {
            match way.admit(head).await {
                Ok(caller) => return Ok(caller),
                Err(refusal) if refusal > gravest.0 => gravest = (refusal, way),
                Err(_) => {}
            }
        }
        let (refusal, way) = gravest;
        if refusal != Refusal::Missing {
            info!(guard = way.name, reason = refusal.reason(), "refused the credentials of a request");
        }
        Err(self.respond(refusal, way))
    }

    /// A certificate cannot be asked for by a challenge, and a 401 needs one (RFC 9110, section 15.5.2): 403.
    fn respond(&self, refusal: Refusal, way: &Way) -> Response {
        let can_ask = self.0.iter().any(|way| way.scheme != Scheme::MutualTls);
        match refusal {
            Refusal::Missing | Refusal::Invalid(_) if !can_ask => {
                Refusal::Forbidden("no client certificate".into()).into_response(&self.0, way)
            }
            refusal => refusal.into_response(&self.0, way),
        }
    }
}

impl Way {
    async fn admit(&self, head: &Parts) -> Result<Caller, Refusal> {
        let caller = self.prover.prove(head).await?.proven_by(self.name);
        match self.scopes.iter().find(|scope| !caller.has_scope(scope)) {
            Some(scope) => Err(Refusal::Forbidden(format!("the scope {scope} is missing").into())),
            None => Ok(caller),
        }
    }
}

/// The layer around the routes.
pub(super) async fn enforce(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    match guard.admit(&head).await {
        Ok(caller) => {
            head.extensions.insert(caller);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refused) => refused,
    }
}

/// A handler asked for the caller, and no guard is around its route.
pub(super) fn unguarded() -> Response {
    tracing::error!("a handler asks who calls, and its route has no guard: add `protected`");
    Problem::internal().into_response()
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|way| way.name)).finish()
    }
}
