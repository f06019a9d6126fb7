//! What editors put before, behind and between the lines of a settings file.

use super::*;

const TOML: &str = "[server]\nbacklog = 7\n[app]\ngreeting = \"\"\"\none\ntwo\"\"\"\n";
const YAML: &str = "server:\n  backlog: 7\napp:\n  greeting: |-\n    one\n    two\n";

fn greeting(name: &str, content: impl AsRef<[u8]>) -> Result<String, String> {
    let directory = Directory::new();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    let loaded = load::<App>(&sources(&[], &[&path])).map_err(|errors| errors.to_string())?;
    assert_eq!(loaded.settings.server.backlog, 7);
    Ok(loaded.settings.app.greeting.clone())
}

#[test]
fn a_file_reads_the_same_whatever_an_editor_puts_around_its_lines() {
    for (name, text) in [("a.toml", TOML), ("a.yaml", YAML)] {
        let windows = text.replace('\n', "\r\n");
        for (what, content) in [
            ("nothing", text.to_owned()),
            ("a byte order mark", format!("\u{feff}{text}")),
            ("CRLF", windows.clone()),
            ("both", format!("\u{feff}{windows}")),
            ("no newline at the end", text.trim_end().to_owned()),
            ("CR at the end", format!("{}\r", text.trim_end())),
            ("Ctrl-Z", format!("{windows}\u{1a}")),
            ("Ctrl-Z and a line", format!("{windows}\u{1a}\r\n")),
            ("padding", format!("{text}\0\0\0\0")),
            ("CR", text.replace('\n', "\r")),
            ("spaces at ends", windows.replace("7\r", "7  \t\r")),
            ("a blank line first", format!("\u{feff}\r\n{windows}\r\n\r\n")),
            ("a comment first", format!("\u{feff}# settings\r\n{windows}# end")),
        ] {
            assert_eq!(greeting(name, content).as_deref(), Ok("one\ntwo"), "{name} with {what}");
        }
    }
    // The marks of a document's start and end.
    let marked = format!("\u{feff}---\r\n{}...\r\n\u{1a}", YAML.replace('\n', "\r\n"));
    assert_eq!(greeting("a.yaml", marked).as_deref(), Ok("one\ntwo"));
}

#[test]
fn what_is_no_text_in_utf8_is_refused_by_what_it_is() {
    let wide = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    for (name, text) in [("a.toml", TOML), ("a.yaml", YAML)] {
        let marked = format!("\u{feff}{text}");
        for (content, says) in [
            (wide(&marked, u16::to_le_bytes), "is UTF-16 text; save it as UTF-8"),
            (wide(&marked, u16::to_be_bytes), "is UTF-16 text; save it as UTF-8"),
            (wide(text, u16::to_le_bytes), "is UTF-16 text; save it as UTF-8"),
            (wide(text, u16::to_be_bytes), "is UTF-16 text; save it as UTF-8"),
            (text.replace("two", "zw\u{e9}i").chars().map(|c| c as u8).collect(), "is not UTF-8 text, at line"),
        ] {
            let refused = greeting(name, &content).unwrap_err();
            assert!(refused.starts_with("file ") && refused.contains(says), "{refused}");
        }
    }
}

#[test]
fn a_fault_is_told_at_its_line_all_the_same() {
    let text = "\u{feff}[server]\r\nbacklog = 7\r\nbacklog = 8\r\n";
    assert!(greeting("a.toml", text).unwrap_err().contains("at line 3"));
    let text = "\u{feff}server:\r\n  - a\r\n  b: c\r\n";
    assert!(greeting("a.yaml", text).unwrap_err().contains("at line 3"));
}
