use super::*;
use crate::telemetry::test::context;

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what extract gives")]
fn remote(sampled: Option<bool>) -> Option<Remote> {
    Some(Remote { trace_id: TRACE, span_id: SPAN, sampled })
}

#[test]
fn traceparent_is_read_as_the_standard_says() {
    for (value, expected) in [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", remote(Some(true))),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", remote(Some(false))),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", remote(Some(true))),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", remote(Some(false))),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", remote(Some(true))),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", remote(Some(true))),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", None),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", None),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g", None),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", None),
        ("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01", None),
        ("+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c", None),
        ("", None),
    ] {
        let found = Propagation::new(None).unwrap().extract(&headers(&[("traceparent", value)]));
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn two_traceparents_are_none() {
    let mut two = headers(&[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
    two.append(TRACEPARENT, two[TRACEPARENT].clone());
    assert_eq!(Propagation::new(None).unwrap().extract(&two), None);
}

#[test]
fn b3_is_read_where_asked_for() {
    let single = |value| headers(&[("b3", value)]);
    let b3 = Propagation::new(Some("b3")).unwrap();
    for (value, expected) in [
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", remote(Some(true))),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d-05e3ac9a4f6e3b90", remote(Some(true))),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", remote(Some(false))),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", remote(None)),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-x", None),
        ("0-b7ad6b7169203331-1", None),
    ] {
        assert_eq!(b3.extract(&single(value)), expected, "{value}");
    }
    assert!(b3.denied(&single("0")) && !b3.denied(&single("1")));
    assert_eq!(b3.extract(&single("8448eb211c80319c-b7ad6b7169203331-1")).unwrap().trace_id, 0x8448_eb21_1c80_319c);

    let multi = headers(&[
        ("x-b3-traceid", "0af7651916cd43dd8448eb211c80319c"),
        ("x-b3-spanid", "b7ad6b7169203331"),
        ("x-b3-sampled", "0"),
    ]);
    assert_eq!(Propagation::new(Some("tracecontext, b3multi")).unwrap().extract(&multi), remote(Some(false)));
    assert_eq!(Propagation::new(None).unwrap().extract(&multi), None);
}

#[test]
fn unknown_propagators_are_refused_by_place() {
    let error = Propagation::new(Some("tracecontext,jaeger")).unwrap_err().to_string();
    assert!(error.contains("OTEL_PROPAGATORS: entry 2: ") && !error.contains("jaeger"), "{error}");
    let none = Propagation::new(Some("none")).unwrap();
    let mut out = HeaderMap::new();
    request::enter(&context(TRACE, true), || none.inject(&mut out));
    assert!(out.is_empty());
}

#[test]
fn an_unrecorded_request_hands_its_trace_on() {
    let all = Propagation::new(Some("tracecontext,baggage,b3,b3multi")).unwrap();
    let mut out = HeaderMap::new();
    request::enter(&context(TRACE, false), || all.inject(&mut out));
    let parent = traceparent(out["traceparent"].as_bytes()).unwrap();
    assert_eq!((parent.trace_id, parent.sampled), (TRACE, Some(false)));
    assert_eq!(out["tracestate"], "vendor=1");
    assert_eq!(out["baggage"], "user=7");
    assert_eq!(b3_single(&out["b3"]), Some(parent.clone()));
    assert_eq!(b3_multi(&out), Some(parent));
}

#[test]
fn lists_are_joined_and_bounded() {
    let propagation = Propagation::new(None).unwrap();
    let mut two = headers(&[("baggage", "a=1")]);
    two.append(BAGGAGE, HeaderValue::from_static("b=2"));
    assert_eq!(propagation.baggage(&two).unwrap(), "a=1,b=2");
    let long = headers(&[("baggage", &"x".repeat(MAX_BAGGAGE + 1))]);
    assert_eq!(propagation.baggage(&long), None);
}
