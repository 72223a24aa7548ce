//! Rules of plain language, as far as a program can check them: a doc comment's first sentence stands alone, and
//! each type has a name of its own.

use std::collections::BTreeMap;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::layering::{Source, collect};

/// Directories whose sources follow the rules.
const DIRS: &[&str] = &[
    "src",
    "tests",
    "benches",
    "perf/src",
    "perf/tests",
    "perf/benches",
    "simulation/src",
    "simulation/tests",
    "fuzz/src",
];

/// Beginnings of a sentence that leans on the one before it, or does not name its subject.
const BEGINNINGS: &[&str] = &[
    "The same",
    "As above",
    "Whoever",
    "Those who",
    "What is",
    "What the",
];

/// Types whose name stands for another type elsewhere, with the reason.
const SHARED_NAMES: &[(&str, &str)] = &[];

#[test]
fn first_sentences_of_doc_comments_stand_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for dir in DIRS.iter().map(|dir| root.join(dir)) {
        if dir.exists() {
            collect(root, &dir, &mut sources);
        }
    }
    sources.sort();
    let leaning: Vec<String> = sources.iter().flat_map(leaning_sentences).collect();
    assert!(leaning.is_empty(), "{}", leaning.join("\n"));
}

#[test]
fn each_type_has_a_name_of_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&src, &src, &mut sources);
    sources.sort();
    let allowed = |name: &str| SHARED_NAMES.iter().any(|(known, _)| *known == name);
    let shared: Vec<String> = shared_names(&sources)
        .into_iter()
        .filter(|(name, _)| !allowed(name))
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

/// Returns the first sentences of doc comments that begin with one of [`BEGINNINGS`], with their places.
fn leaning_sentences((name, text): &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let mark = ["///", "//!"]
            .into_iter()
            .find(|mark| line.starts_with(mark));
        let sentence = mark.map(|mark| line[mark.len()..].trim_start());
        let is_first = mark.is_some() && mark != before;
        if let Some(sentence) = sentence.filter(|_| is_first) {
            let leans = BEGINNINGS.iter().any(|beginning| {
                let rest = sentence.strip_prefix(beginning);
                rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            });
            if leans {
                found.push(format!("{name}:{}: {sentence}", index + 1));
            }
        }
        before = mark;
    }
    found
}

/// Returns the names of types that are defined more than once, outside of modules for tests, with their files.
fn shared_names(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources {
        let mut names = Vec::new();
        types_in(text.parse().unwrap_or_default(), true, &mut names);
        for name in names {
            files.entry(name).or_default().push(file.clone());
        }
    }
    files.retain(|_, files| files.len() > 1);
    files
}

/// Collects the names of the types that `tokens` define, those of macros included. A `type` counts only where it is
/// public and outside of `impl` and `trait`.
fn types_in(tokens: TokenStream, has_aliases: bool, names: &mut Vec<String>) {
    let (mut before, mut earlier) = (String::new(), String::new());
    let (mut is_for_tests, mut in_module) = (false, has_aliases);
    for token in tokens {
        let text = match &token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                let attribute = group.stream().to_string().replace(' ', "");
                is_for_tests |= attribute == "cfg(test)";
                continue;
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                if !std::mem::take(&mut is_for_tests) {
                    types_in(group.stream(), in_module, names);
                }
                in_module = has_aliases;
                String::new()
            }
            TokenTree::Group(_) => continue,
            token => token.to_string(),
        };
        let is_type = match before.as_str() {
            "struct" | "enum" | "trait" => true,
            "type" => has_aliases && earlier == "pub",
            _ => false,
        };
        if is_type && text.starts_with(char::is_alphabetic) && !is_for_tests {
            names.push(text.clone());
        }
        match text.as_str() {
            "impl" | "trait" => in_module = false,
            ";" => is_for_tests = false,
            _ => {}
        }
        earlier = std::mem::replace(&mut before, text);
    }
}

#[test]
fn a_sentence_that_leans_on_another_is_found() {
    for (text, count) in [
        ("/// The same with holds.\nfn f() {}", 1),
        ("    //! What is sold.\n", 1),
        ("fn f() {}\n    /// As above, but later.\n", 1),
        ("/// Whoever comes first.", 1),
        ("/// Those who look.", 1),
        ("/// What the journal says.", 1),
        ("//! A part.\n/// What is sold.", 1),
        ("/// Returns the sale.\n///\n/// What is sold.", 0),
        ("/// Whatever.\n", 0),
        ("/// What isolates it.\n", 0),
        ("// What is sold.\n", 0),
        ("/// Returns what is sold.\n", 0),
    ] {
        let source = ("sale/stock.rs".to_owned(), text.to_owned());
        assert_eq!(leaning_sentences(&source).len(), count, "{text}");
    }
}

#[test]
fn two_types_of_one_name_are_found() {
    let shared = |one: &str, other: &str| -> Vec<String> {
        let sources = [("a.rs", one), ("b/c.rs", other)];
        let sources = sources.map(|(name, text)| (name.to_owned(), text.to_owned()));
        shared_names(&sources).into_keys().collect()
    };
    for (one, other) in [
        ("pub struct Place;", "enum Place { A }"),
        (
            "pub(crate) trait Place {}",
            "mod inner { struct Place(u8); }",
        ),
        (
            "pub type Place = u8;",
            "macro_rules! m { () => { struct Place; } }",
        ),
        (
            "pub type Place<T> = Vec<T>;",
            "#[derive(Debug)] #[repr(u8)] enum Place { A }",
        ),
    ] {
        assert_eq!(shared(one, other), ["Place"], "{one} {other}");
    }
    for (one, other) in [
        (
            "struct Place;",
            "use crate::a::Place; fn f(place: Place) {}",
        ),
        ("struct Place;", "#[cfg(test)] mod tests { struct Place; }"),
        ("struct Place;", "#[cfg(test)] struct Place;"),
        ("struct Place;", "impl Sink for A { type Place = u8; }"),
        ("struct Place;", "trait Sink { type Place; }"),
        (
            "struct Place;",
            "// struct Place;\nconst A: &str = \"struct Place;\";",
        ),
    ] {
        assert!(shared(one, other).is_empty(), "{one} {other}");
    }
    assert_eq!(
        shared("#[cfg(test)] mod t; struct Place;", "struct Place;").len(),
        1
    );
}
