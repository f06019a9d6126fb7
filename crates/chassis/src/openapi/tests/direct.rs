//! Which handlers are called without axum's router.

use axum::{
    Extension,
    body::Bytes,
    extract::{
        ConnectInfo, MatchedPath, NestedPath, RawPathParams, RawQuery, Request, State, rejection::BytesRejection,
    },
    routing,
};
use http::{HeaderMap, request::Parts};

use super::*;
use crate::peer::ConnectionInfo;

fn direct(methods: impl Into<Methods>) -> Vec<String> {
    methods.into().handlers.direct().iter().map(|(method, _)| method.to_string()).collect()
}

#[test]
fn a_handler_whose_parameters_need_no_router_is_called_directly() {
    for methods in [
        get(async || ()),
        get(async |_: State<u8>, _: HeaderMap, _: RawQuery, _: Query<Inner>| ()).with_state(1),
        get(async |_: ConnectionInfo, _: ConnectInfo<u8>, _: Json<Inner>| ()),
        get(opaque(async |_: Result<Bytes, BytesRejection>| "")),
    ] {
        assert_eq!(direct(methods), ["GET"]);
    }
    let several = get(async || ()).post(async |_: Json<Inner>| ()).delete(async |_: MatchedPath| ());
    assert_eq!(direct(several), ["GET", "POST"]);
}

/// What is unknown is axum's.
#[test]
fn a_handler_that_may_read_what_axums_router_notes_is_called_by_it() {
    struct Own;
    impl Input for Own {}
    impl<S: Sync> axum::extract::FromRequestParts<S> for Own {
        type Rejection = StatusCode;

        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
            Ok(Self)
        }
    }
    for methods in [
        get(async |_: MatchedPath| ()),
        get(async |_: NestedPath| ()),
        get(async |_: RawPathParams| ()),
        get(async |_: axum::extract::Path<u8>| ()),
        get(async |_: Extension<MatchedPath>| ()),
        get(async |_: Request| ()),
        get(async |_: Own| ()),
        get(async || ()).layer(Extension(1)),
        get(async || ()).route_layer(Extension(1)),
        post(async |_: Json<Inner>| ()).decompress(),
        routing::get(async || ()).into(),
    ] {
        assert_eq!(direct(methods), [""; 0]);
    }
}
