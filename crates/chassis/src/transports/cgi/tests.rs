use super::*;

const LINE: [(&str, &str); 2] = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")];

fn read_with(variables: &[(&'static str, &'static str)]) -> Result<Head, Bad> {
    let all = LINE.iter().filter(|(name, _)| !variables.iter().any(|(other, _)| other == name)).chain(variables);
    read(all.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn headers(variables: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
    let head = read_with(variables).expect("a request");
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().expect("text").to_owned());
    head.parts.headers.iter().map(text).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_target_is_what_the_client_sent() {
    for (target, expected) in [
        ("/a%2Fb/%C3%A9?q=%26&r", "/a%2Fb/%C3%A9?q=%26&r"),
        ("//double//", "//double//"),
        // Its host wins over `Host`.
        ("http://host:80/path?q", "http://host:80/path?q"),
        ("*", "*"),
    ] {
        let head = read_with(&[("REQUEST_URI", target), ("PATH_INFO", "/other"), ("QUERY_STRING", "other")]);
        assert_eq!(head.expect("a request").parts.uri.to_string(), expected);
    }
    for target in ["", "no path", "/a b", "/a\r\nx: y", "/\u{7f}"] {
        assert_eq!(read_with(&[("REQUEST_URI", target)]).err(), Some(Bad::Target), "{target:?}");
    }
}

#[test]
fn a_request_has_a_method_and_a_target() {
    let of = |variables: &'static [(&str, &str)]| {
        read(variables.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))).err()
    };
    assert_eq!(of(&[("REQUEST_URI", "/")]), Some(Bad::Method));
    assert_eq!(of(&[("REQUEST_METHOD", "GET")]), Some(Bad::Target));
    assert_eq!(of(&[("REQUEST_METHOD", "G T"), ("REQUEST_URI", "/")]), Some(Bad::Method));
    assert_eq!(of(&[("REQUEST_METHOD", "GET"), ("REQUEST_METHOD", "PUT"), ("REQUEST_URI", "/")]), Some(Bad::Method));
}

#[test]
fn a_length_is_digits_and_all_lengths_agree() {
    let length = |variables: &[(&'static str, &'static str)]| read_with(variables).map(|head| head.length);
    assert_eq!(length(&[]), Ok(None));
    assert_eq!(length(&[("CONTENT_LENGTH", "")]), Ok(None));
    assert_eq!(length(&[("CONTENT_LENGTH", "5"), ("HTTP_CONTENT_LENGTH", "5")]), Ok(Some(5)));
    // The second is `Content_Length: 6`, as a client may send it beside the first.
    assert_eq!(length(&[("CONTENT_LENGTH", "5"), ("HTTP_CONTENT_LENGTH", "6")]), Err(Bad::Length));
    assert_eq!(length(&[("HTTP_CONTENT_LENGTH", "5"), ("HTTP_CONTENT_LENGTH", "6")]), Err(Bad::Length));
    for bad in ["+5", "-1", " 5", "5 ", "5,5", "5, 5", "0x5", "5.0", "٣"] {
        assert_eq!(length(&[("CONTENT_LENGTH", bad)]), Err(Bad::Length), "{bad}");
    }
    let beyond = length(&[("CONTENT_LENGTH", "18446744073709551616")]).map_err(|bad| (bad, bad.problem().status()));
    assert_eq!(beyond, Err((Bad::TooLong, http::StatusCode::PAYLOAD_TOO_LARGE)));
    let one = headers(&[("CONTENT_LENGTH", "05"), ("HTTP_CONTENT_LENGTH", "5")]);
    assert_eq!(one, pairs(&[("content-length", "5")]), "there is one, as we read it");
}

#[test]
fn fields_of_the_hop_and_proxy_are_dropped() {
    let dropped = [
        ("HTTP_PROXY", "http://evil"),
        ("HTTP_CONNECTION", "close, X-Kept"),
        ("HTTP_KEEP_ALIVE", "1"),
        ("HTTP_PROXY_CONNECTION", "1"),
        ("HTTP_PROXY_AUTHORIZATION", "1"),
        ("HTTP_TE", "trailers"),
        ("HTTP_TRAILER", "x"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_UPGRADE", "websocket"),
        ("HTTP_EXPECT", "100-continue"),
        ("HTTP_X_KEPT", "yes"),
    ];
    assert_eq!(headers(&dropped), pairs(&[("x-kept", "yes")]), "Connection names nothing that is dropped here");
    assert!(read_with(&dropped).expect("a request").is_chunked);
}

#[test]
fn fields_that_come_twice_are_both_there() {
    let twice = headers(&[("HTTP_X_A", "1"), ("HTTP_COOKIE", "a"), ("HTTP_X_A", "2"), ("HTTP_COOKIE", "b")]);
    assert_eq!(twice, pairs(&[("x-a", "1"), ("x-a", "2"), ("cookie", "a"), ("cookie", "b")]));
    assert_eq!(headers(&[("HTTP_HOST", "a"), ("HTTP_HOST", "a")]).len(), 2);
    assert_eq!(read_with(&[("HTTP_HOST", "a"), ("HTTP_HOST", "b")]).err(), Some(Bad::Host));
}

#[test]
fn fields_that_name_a_client_are_believed_only_where_they_come_once() {
    let once = headers(&[("HTTP_X_FORWARDED_FOR", "192.0.2.1"), ("HTTP_FORWARDED", "for=192.0.2.1")]);
    assert_eq!(once.len(), 2);
    for name in ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP"] {
        assert_eq!(headers(&[(name, "192.0.2.1"), (name, "198.51.100.1")]), [], "{name}");
    }
}

#[test]
fn names_that_are_no_headers_are_left_out() {
    let odd = [
        ("HTTP_", "x"),
        ("HTTP_x", "x"),
        ("HTTP_X-Y", "x"),
        ("HTTP_X Y", "x"),
        ("HTTP_Ä", "x"),
        ("DOCUMENT_ROOT", "/"),
    ];
    assert_eq!(headers(&odd), []);
    assert_eq!(read_with(&[("HTTP_X", "a\r\nb: c")]).err(), Some(Bad::Value));
    assert_eq!(read_with(&[("HTTP_X", "a\0")]).err(), Some(Bad::Value));
}

#[test]
fn the_content_type_comes_once() {
    assert_eq!(headers(&[("CONTENT_TYPE", "a/b"), ("HTTP_CONTENT_TYPE", "c/d")]), pairs(&[("content-type", "a/b")]));
    assert_eq!(headers(&[("CONTENT_TYPE", ""), ("HTTP_CONTENT_TYPE", "c/d")]), pairs(&[("content-type", "c/d")]));
    assert_eq!(headers(&[("CONTENT_TYPE", ""), ("HTTP_CONTENT_TYPE", "")]), []);
}

#[test]
fn the_client_is_the_one_that_the_proxy_saw() {
    let client = |variables: &[(&'static str, &'static str)]| read_with(variables).expect("a request").client;
    let expected = "192.0.2.1:4711".parse().ok();
    assert_eq!(client(&[("REMOTE_ADDR", "192.0.2.1"), ("REMOTE_PORT", "4711")]), expected);
    assert_eq!(client(&[("REMOTE_ADDR", "2001:db8::1")]), "[2001:db8::1]:0".parse().ok());
    assert_eq!(client(&[("REMOTE_ADDR", "unix:")]), None);
    assert_eq!(client(&[("REMOTE_PORT", "1")]), None);
}

#[test]
fn a_response_says_its_status_length_and_fields() {
    let response = http::Response::builder()
        .status(404)
        .header("x-a", "1")
        .header("x-a", "2")
        .header("connection", "close")
        .header("transfer-encoding", "chunked")
        .header("status", "200 OK")
        .body(())
        .expect("a response");
    let (parts, ()) = response.into_parts();
    let written = |start, length| {
        let mut out = BytesMut::new();
        write_head(&mut out, start, &parts, length);
        String::from_utf8(out.to_vec()).expect("text")
    };
    assert_eq!(written(Start::Cgi, Some(3)), "Status: 404 Not Found\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 3\r\n\r\n");
    assert_eq!(written(Start::Http, None), "HTTP/1.1 404 Not Found\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
}

#[test]
fn the_scheme_is_that_between_client_and_proxy() {
    for (variables, expected) in [
        (&[][..], "http"),
        (&[("HTTPS", "")], "http"),
        (&[("HTTPS", "off")], "http"),
        (&[("HTTPS", "on")], "https"),
        (&[("REQUEST_SCHEME", "https")], "https"),
        (&[("REQUEST_SCHEME", "http")], "http"),
    ] {
        assert_eq!(read_with(variables).expect("a request").scheme, expected, "{variables:?}");
    }
}
