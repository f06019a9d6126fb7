//! Answers without a body, over each protocol: what they say of its length.

use crate::{
    harness::http::Response,
    spoken::{Asked, Spoken, app},
};

/// An app may say a length and a body where there is none: on a 204, 205 or 304.
const BODILESS: [(&str, u16); 8] = [
    ("/no-content", 204),
    ("/not-modified", 304),
    ("/said/204", 204),
    ("/said/205", 205),
    ("/said/304", 304),
    ("/compressed/204", 204),
    ("/compressed/205", 205),
    ("/compressed/304", 304),
];

fn length(answer: &Response) -> Option<&str> {
    answer.header("content-length")
}

/// RFC 9110, section 8.6, forbids it on a 204 and allows it on a 304, where we leave it out; a 205 is empty (15.3.6).
#[tokio::test]
async fn an_answer_that_has_no_body_says_no_length_over_any_door() {
    let server = app(&[]).await;
    let mut wrong = Vec::new();
    for spoken in Spoken::ALL {
        for (target, status) in BODILESS {
            for method in ["GET", "HEAD", "POST"] {
                if method == "POST" && !target.starts_with("/said") {
                    continue;
                }
                let asked = Asked { method, target, fields: &[("accept-encoding", "gzip")], body: b"" };
                let answer = spoken.ask(&server, asked).await;
                let expected = if status == 205 { [None, Some("0")] } else { [None; 2] };
                let is_right = answer.status == status
                    && answer.body.is_empty()
                    && expected.contains(&length(&answer))
                    && answer.header("transfer-encoding").is_none();
                if !is_right {
                    wrong.push(format!("{spoken:?} {method} {target}: {answer:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const TARGETS: [&str; 9] = [
    "/hello/",
    "/compressed",
    "/said/200",
    "/said/404",
    "/compressed/200",
    "/compressed/500",
    "/stream",
    "/nothing",
    // A sentence of axum's, which becomes a problem.
    "/said/word",
];

/// A length of 0 makes a cache drop what it has (RFC 9111, section 4.3.5), and a download tool report an empty file.
#[tokio::test]
async fn an_answer_to_head_says_the_length_of_gets_or_none() {
    let server = app(&[]).await;
    let mut wrong = Vec::new();
    for spoken in Spoken::ALL {
        for target in TARGETS {
            for coding in ["gzip", "identity"] {
                let fields = [("accept-encoding", coding)];
                let get = spoken.get(&server, target, &fields).await;
                let head = spoken.ask(&server, Asked { method: "HEAD", target, fields: &fields, body: b"" }).await;
                let says = [None, Some(get.body.len().to_string())].contains(&length(&head).map(str::to_owned));
                let same = head.header("content-encoding") == get.header("content-encoding");
                if head.status != get.status || !head.body.is_empty() || !says || !same {
                    wrong.push(format!("{spoken:?} {target} {coding}: {head:?}, of {} bytes", get.body.len()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Where GET's length is known, it is said.
#[tokio::test]
async fn an_answer_to_head_says_a_length_that_is_known() {
    let server = app(&[]).await;
    for spoken in Spoken::ALL {
        for (target, expected) in [("/hello/", Some("14")), ("/said/200", Some("2000")), ("/stream", None)] {
            let head = spoken.ask(&server, Asked { method: "HEAD", target, fields: &[], body: b"" }).await;
            assert_eq!(length(&head), expected, "{spoken:?} {target}");
        }
    }
}
