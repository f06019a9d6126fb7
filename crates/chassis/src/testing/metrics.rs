//! One number of `/metrics`.
//!
//! Next: `log`.

/// The sum of the series `name` in `text` that have all of `labels`, and maybe more; none where there is none.
pub(super) fn sum(text: &str, name: &str, labels: &[(String, String)]) -> Option<f64> {
    let samples = text.lines().filter_map(|line| sample(line.strip_prefix(name)?));
    let chosen = samples.filter(|(given, _)| labels.iter().all(|label| given.contains(label)));
    chosen.map(|(_, value)| value).reduce(|sum, value| sum + value)
}

/// What stands behind the name: `{a="1",b="2"} 3` or ` 3`.
fn sample(rest: &str) -> Option<(Vec<(String, String)>, f64)> {
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        // Another name may begin with this one.
        None => (Vec::new(), rest.strip_prefix(' ')?),
    };
    Some((labels, value.trim().parse().ok()?))
}

/// The labels, and what stands behind their brace.
fn read_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = unquote(quoted)?;
        labels.push((name.to_owned(), value));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    Some((labels, &rest[1..]))
}

/// A value up to its quote, with its escapes undone, and what stands behind the quote.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE made_total counter\nmade_total{kind=\"a \\\"b\\\" {c}\",by=\"x\"} 1\nmade_total{kind=\"d\",by=\"x\"} 2.5\nmade_total_twice 7\nplain 4\n";

    #[test]
    fn series_with_the_labels_are_summed() {
        let made = |labels: &[(&str, &str)]| {
            let labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            sum(TEXT, "made_total", &labels)
        };
        assert_eq!(made(&[]), Some(3.5));
        assert_eq!(made(&[("by", "x")]), Some(3.5));
        assert_eq!(made(&[("by", "x"), ("kind", "d")]), Some(2.5));
        assert_eq!(made(&[("kind", "a \"b\" {c}")]), Some(1.0));
        assert_eq!(made(&[("kind", "e")]), None);
        assert_eq!(sum(TEXT, "plain", &[]), Some(4.0));
        assert_eq!(sum(TEXT, "made", &[]), None);
    }
}
