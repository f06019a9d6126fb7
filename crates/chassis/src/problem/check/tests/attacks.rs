//! What is large or deep is refused at a bounded cost.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::problem::{Draft, check::compiled};

#[test]
fn what_a_client_sends_by_the_thousand_is_refused_in_a_few_lines() {
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema counts")]
    struct Small {
        #[schemars(range(min = 1))]
        size: u8,
    }
    let fields: serde_json::Map<_, _> = (0..10_000).map(|at| (format!("field-{at}"), json!(0))).collect();
    let program = compiled::<Small>().expect("bounds");
    assert_eq!(program.check(&Value::Object(fields.clone())).len(), 32);
    let form = Draft::<Small>::from(Value::Object(fields)).form();
    assert!(form.finish().expect_err("unknown fields").errors.len() <= 64);
}

/// Without the tag first, each level would be tried for each form: 2 to the power of 60.
#[test]
fn forms_within_forms_take_no_longer_than_their_depth() {
    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "t")]
    #[expect(dead_code, reason = "only its schema counts")]
    enum Tagged {
        A {
            c: Vec<Tagged>,
        },
        B {
            c: Vec<Tagged>,
        },
        Text {
            #[schemars(length(max = 3))]
            s: String,
        },
    }
    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema counts")]
    enum Untagged {
        A {
            c: Vec<Untagged>,
            a: Option<bool>,
        },
        B {
            c: Vec<Untagged>,
            b: Option<bool>,
        },
        Text {
            #[schemars(length(max = 3))]
            s: String,
        },
    }
    let nested =
        |text: &str| (0..60).fold(json!({ "t": "Text", "s": text }), |inner, _| json!({ "t": "B", "c": [inner] }));
    let tagged = compiled::<Tagged>().expect("bounds");
    assert_eq!(tagged.check(&nested("abc")), []);
    assert!(!tagged.check(&nested("abcd")).is_empty());
    assert!(!compiled::<Untagged>().expect("bounds").check(&nested("abcd")).is_empty(), "refused, and in time");
}
