//! What of a head is the same for a handler, whoever wrote it: who asked, by which scheme, with which cookies.

use serde_json::Value;

use crate::spoken::{Asked, Spoken, app};

async fn echo(spoken: Spoken, server: &crate::harness::server::Server, fields: &[(&str, &str)]) -> Value {
    let answer = spoken.ask(server, Asked { method: "GET", target: "/echo", fields, body: b"" }).await;
    assert_eq!(answer.status, 200, "{spoken:?} {fields:?}");
    serde_json::from_slice(&answer.body).expect("an echo")
}

/// All is sent by loopback, which is trusted.
#[tokio::test]
async fn a_proxys_word_is_read_as_proxies_write_it() {
    let server = app(&[]).await;
    for spoken in Spoken::ALL {
        for (proto, expected) in [("wss", "https"), ("ws", "http"), ("HTTPS", "https"), ("gopher", "http")] {
            let echo = echo(spoken, &server, &[("x-forwarded-proto", proto)]).await;
            assert_eq!(echo["scheme"], expected, "{spoken:?} {proto}");
        }
        let chain = [("x-forwarded-for", "192.0.2.1, 127.0.0.1"), ("x-forwarded-proto", "http,https")];
        assert_eq!(echo(spoken, &server, &chain).await["scheme"], "https", "{spoken:?}");
        let quoted = "for=\"[2001:db8::1]:_x\";host=\"a,for=198.51.100.9\";proto=\"HTT\\PS\", for=127.0.0.1;proto=http";
        let echo = echo(spoken, &server, &[("forwarded", quoted)]).await;
        assert_eq!((&echo["client"], &echo["scheme"]), (&"2001:db8::1".into(), &"https".into()), "{spoken:?}");
    }
}

/// RFC 9113, section 8.2.3: HTTP/2 splits them to compress each by itself. CGI joins fields of one name with a comma, so a web
/// server in front joins them first.
#[tokio::test]
async fn cookies_are_one_field_for_a_handler() {
    let server = app(&[]).await;
    for spoken in [Spoken::Http10, Spoken::Http1, Spoken::Http2] {
        let echo = echo(spoken, &server, &[("cookie", "a=1"), ("x-between", "b"), ("cookie", "b=2; c=3")]).await;
        let fields = echo["headers"].as_array().expect("headers").iter();
        let cookies: Vec<_> = fields.filter(|field| field[0] == "cookie").map(|field| &field[1]).collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"], "{spoken:?}");
    }
}
