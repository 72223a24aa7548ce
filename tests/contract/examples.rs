//! Every example fits the schema that it is one of.

use serde_json::Value;

use crate::contract::document::{DOCUMENT, escaped, schema};

/// Everything that has a schema and examples, with where it is.
fn exemplified<'a>(value: &'a Value, pointer: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            let has_examples = members.contains_key("example") || members.contains_key("examples");
            if members.contains_key("schema") && has_examples {
                found.push((pointer.to_owned(), value));
            }
            // What is inside an example is none.
            let others = members
                .iter()
                .filter(|(name, _)| !name.starts_with("example"));
            for (name, inner) in others {
                exemplified(inner, &format!("{pointer}/{}", escaped(name)), found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                exemplified(inner, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn examples_fit_their_schemas() {
    let mut found = Vec::new();
    exemplified(&DOCUMENT, "", &mut found);
    let mut count = 0;
    for (pointer, place) in found {
        let several = place["examples"].as_object().into_iter().flatten();
        let several = several.map(|(_, example)| &example["value"]);
        for example in several.chain(place.get("example")) {
            let schema = schema(&format!("{pointer}/schema"));
            let errors: Vec<_> = schema.iter_errors(example).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{pointer}: {example}: {errors:?}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_schema_is_one() {
    let schemas = DOCUMENT["components"]["schemas"].as_object();
    for name in schemas.expect("schemas").keys() {
        schema(&format!("/components/schemas/{name}"));
    }
}
