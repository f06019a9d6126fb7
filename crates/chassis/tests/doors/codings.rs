//! Content codings: what a client refuses of an answer, and what of a body nobody decodes.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::{
    harness::http::Response,
    spoken::{Asked, Spoken, app, ask_in_frames},
};

fn code(answer: &Response) -> Option<String> {
    let problem: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(problem["code"].as_str()?.to_owned())
}

/// What each route would have answered, 200 aside, is not touched.
#[tokio::test]
async fn a_client_that_accepts_no_coding_gets_406_for_a_200_alone() {
    let server = app(&[]).await;
    let mut wrong = Vec::new();
    for spoken in Spoken::ALL {
        for refusal in ["identity;q=0", "*;q=0", "identity;q=0, gzip;q=0", "identity;q=0, br"] {
            for (method, target, status) in [
                ("GET", "/compressed/200", 406),
                ("HEAD", "/compressed/200", 406),
                ("GET", "/compressed/201", 201),
                ("GET", "/compressed/204", 204),
                ("GET", "/compressed/206", 206),
                ("GET", "/compressed/304", 304),
                ("GET", "/compressed/404", 404),
                ("DELETE", "/compressed", 405),
                ("GET", "/compressed/503", 503),
                // What is done is done.
                ("POST", "/compressed/200", 200),
            ] {
                let fields = [("accept-encoding", refusal)];
                let answer = spoken.ask(&server, Asked { method, target, fields: &fields, body: b"" }).await;
                let is_right = answer.status == status
                    && (status != 406 || method == "HEAD" || code(&answer).as_deref() == Some("not_acceptable"))
                    && (status != 406 || answer.header("vary") == Some("accept-encoding"));
                if !is_right {
                    wrong.push(format!(
                        "{spoken:?} {method} {target} {refusal}: {} {:.60}",
                        answer.status,
                        answer.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_a_client_accepts_it_gets() {
    let server = app(&[]).await;
    for spoken in Spoken::ALL {
        for (accepted, target, status, coding) in [
            ("gzip, identity;q=0", "/compressed", 200, Some("gzip")),
            ("*, identity;q=0", "/compressed", 200, None),
            ("gzip, *;q=0", "/compressed", 200, Some("gzip")),
            ("identity;q=0.5, *;q=0", "/compressed", 200, None),
            // A route that compresses nothing, and an answer that is too short for it.
            ("gzip, identity;q=0", "/hello/", 200, None),
            ("identity;q=0", "/hello/", 406, None),
            // A balancer gets its verdict.
            ("identity;q=0", "/healthz", 200, None),
        ] {
            let answer = spoken.get(&server, target, &[("accept-encoding", accepted)]).await;
            let found = (answer.status, answer.header("content-encoding"));
            let is_any = accepted.starts_with('*') && answer.status == 200;
            assert!(is_any || found == (status, coding), "{spoken:?} {target} {accepted}: {found:?}");
        }
    }
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).expect("compressing");
    encoder.finish().expect("compressing")
}

/// RFC 7694, section 3.
#[tokio::test]
async fn a_compressed_body_is_415_with_the_codings_that_are_accepted() {
    let server = app(&[]).await;
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for spoken in Spoken::ALL {
        for (target, kind, text) in [
            ("/json", json, "{\"a\":1}"),
            ("/form", form, "a=1"),
            ("/axum-json", json, "{\"a\":1}"),
            ("/text", "text/plain", "a text"),
        ] {
            let body = gzip(text);
            for (coding, body, status) in
                [("gzip", body.as_slice(), 415), ("Identity", text.as_bytes(), 200), ("", text.as_bytes(), 200)]
            {
                let fields = [("content-type", kind), ("content-encoding", coding)];
                let fields = if coding.is_empty() { &fields[..1] } else { &fields };
                let answer = spoken.ask(&server, Asked { method: "POST", target, fields, body }).await;
                assert_eq!(answer.status, status, "{spoken:?} {target} {coding}: {}", answer.text());
                let accepted = (status == 415).then_some("identity");
                assert_eq!(answer.header("accept-encoding"), accepted, "{spoken:?} {target} {coding}");
                let expected = (status == 415).then_some("unsupported_media_type");
                assert_eq!(code(&answer).as_deref(), expected, "{spoken:?} {target} {coding}");
            }
        }
        // A body that its handler takes as it comes.
        let fields = [("content-encoding", "gzip")];
        let body = gzip("a file");
        let answer =
            spoken.ask(&server, Asked { method: "POST", target: "/upload", fields: &fields, body: &body }).await;
        assert!(answer.text().starts_with(&format!("{} ", body.len())), "{spoken:?}");
    }
}

/// A JSON string of `length` bytes in all.
fn json_of(length: usize) -> String {
    format!("\"{}\"", "a".repeat(length - 2))
}

/// Its limit is 4 KiB, of what the handler reads.
#[tokio::test]
async fn a_route_that_decompresses_reads_gzip_up_to_its_limit() {
    let server = app(&[]).await;
    let mut wrong = Vec::new();
    for spoken in Spoken::ALL {
        for target in ["/gzip/json", "/gzip/described", "/gzip/axum-json", "/gzip/text", "/gzip/upload"] {
            for (coding, length, status) in [
                ("gzip", 4096, 200),
                ("x-gzip", 100, 200),
                ("identity, GZIP", 100, 200),
                ("gzip", 4097, 413),
                // 45 KB of gzip.
                ("gzip", 10_000_000, 413),
                ("identity", 4096, 200),
                ("identity", 4097, 413),
            ] {
                let text = json_of(length);
                let body = if coding == "identity" { text.into_bytes() } else { gzip(text) };
                let fields = [("content-type", "application/json"), ("content-encoding", coding)];
                let answer = spoken.ask(&server, Asked { method: "POST", target, fields: &fields, body: &body }).await;
                let expected = (status == 413).then_some("body_too_large");
                if answer.status != status || code(&answer).as_deref() != expected {
                    wrong.push(format!(
                        "{spoken:?} {target} {coding} {length}: {} {:.90}",
                        answer.status,
                        answer.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `Accept-Encoding` stands where the coding is the reason, and only there.
#[tokio::test]
async fn a_route_that_decompresses_says_what_is_wrong_with_a_body() {
    let server = app(&[]).await;
    let json = "application/json";
    for spoken in Spoken::ALL {
        for target in ["/gzip/json", "/gzip/described", "/gzip/axum-json"] {
            for (kind, coding, body, status, accepted) in [
                (json, "br", gzip("1"), 415, Some("gzip")),
                (json, "gzip, gzip", gzip(gzip("1")), 415, Some("gzip")),
                ("text/csv", "gzip", gzip("1"), 415, None),
                (json, "gzip", gzip("not JSON"), 400, None),
                (json, "gzip", b"not gzip".to_vec(), 400, None),
                (json, "gzip", gzip(json_of(2000))[..30].to_vec(), 400, None),
            ] {
                let fields = [("content-type", kind), ("content-encoding", coding)];
                let answer = spoken.ask(&server, Asked { method: "POST", target, fields: &fields, body: &body }).await;
                let found = (answer.status, answer.header("accept-encoding"));
                assert_eq!(found, (status, accepted), "{spoken:?} {target} {kind} {coding}: {}", answer.text());
                assert!(code(&answer).is_some(), "{spoken:?} {target} {kind} {coding}: {}", answer.text());
            }
        }
    }
}

/// RFC 1952, section 2.2: log shippers write such a file. Where its frames end says nothing.
#[tokio::test]
async fn a_gzip_body_of_several_members_is_read_to_its_end() {
    let server = app(&[]).await;
    let rubbish = [gzip("a text"), b"rubbish".to_vec()].concat();
    let torn = [gzip("a text"), gzip("another")[..15].to_vec()].concat();
    for (body, status) in [([gzip("a text"), gzip(", and another")].concat(), 200), (rubbish, 400), (torn, 400)] {
        // All of it in one frame, and cut anywhere into two.
        for cut in 0..body.len() {
            let fields = [("content-encoding", "gzip")];
            let asked = Asked { method: "POST", target: "/gzip/text", fields: &fields, body: b"" };
            let frames = [&body[..cut], &body[cut..]];
            let answer = ask_in_frames(&server, asked, &frames[usize::from(cut == 0)..]).await;
            assert_eq!(answer.status, status, "cut at {cut} of {}: {}", body.len(), answer.text());
            assert!(status != 200 || answer.text() == "19", "cut at {cut} of {}: {}", body.len(), answer.text());
        }
    }
    for spoken in Spoken::ALL {
        let fields = [("content-encoding", "gzip")];
        let asked = Asked { method: "POST", target: "/gzip/text", fields: &fields, body: b"" };
        assert_eq!(spoken.ask(&server, asked).await.text(), "0", "no body over {spoken:?}");
    }
}
