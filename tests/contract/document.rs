//! The description of the interface, and what it says of an answer.
//!
//! Every client of the tests holds every answer that it gets against it: shared with `#[path]`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Draft, Registry, Resource, Validator};
use serde_json::{Value, json};

/// The document as the repository has it.
pub const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/http/openapi.json"
));

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(TEXT).expect("JSON"));

/// How schemas name the document.
const BASE: &str = "urn:flashsale:openapi";

static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let document = Resource::from_contents(DOCUMENT.clone());
    Registry::new()
        .draft(Draft::Draft202012)
        .add(BASE, document)
        .and_then(|registry| registry.prepare())
        .expect("every reference leads somewhere")
});

/// The schema at `pointer`, ready for use.
pub fn schema(pointer: &str) -> Arc<Validator> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("no panic");
    let build = || {
        let mut fragment = pointer.to_owned();
        for (plain, encoded) in [("{", "%7B"), ("}", "%7D"), (" ", "%20")] {
            fragment = fragment.replace(plain, encoded);
        }
        let schema = json!({ "$ref": format!("{BASE}#{fragment}") });
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        let options = options
            .with_registry(&REGISTRY)
            .should_validate_formats(true);
        let built = options.build(&schema);
        Arc::new(built.unwrap_or_else(|error| panic!("{pointer}: {error}")))
    };
    let found = known.entry(pointer.to_owned()).or_insert_with(build);
    Arc::clone(found)
}

/// `name` as a part of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What `reference` stands for, with where that is.
pub fn resolved(value: &Value, pointer: String) -> (&Value, String) {
    let Some(reference) = value["$ref"].as_str() else {
        return (value, pointer);
    };
    let target = reference.strip_prefix('#').expect("a local reference");
    let found = DOCUMENT.pointer(target);
    (
        found.expect("the reference leads somewhere"),
        target.to_owned(),
    )
}

/// An answer of the server.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAnswer<'a> {
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// Returns how the answer to this request differs from the document.
pub fn validate(method: &str, target: &str, received: ReceivedAnswer<'_>) -> Result<(), String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path
        .strip_prefix("/api/v1")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    let Some((template, operations)) = path_item(path) else {
        return error_is(received, "not_found");
    };
    let described = match method {
        "HEAD" => "get".to_owned(),
        _ => method.to_ascii_lowercase(),
    };
    let Some(operation) = operations.get(&described) else {
        return error_is(received, "method_not_allowed");
    };
    let responses = format!("/paths/{}/{described}/responses", escaped(template));
    let status = received.status.to_string();
    let Some(response) = operation["responses"].get(&status) else {
        return Err(format!(
            "{method} {template} is not said to answer {status}"
        ));
    };
    let (response, pointer) = resolved(response, format!("{responses}/{status}"));
    check_headers(response, received)?;
    check_content(method, response, &pointer, received)
}

/// The path of the document that `path` is one of: a plain one before one with parameters.
fn path_item(path: &str) -> Option<(&str, &Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let fitting = paths.iter().filter(|(template, _)| fits(template, path));
    let found = fitting.min_by_key(|(template, _)| template.contains('{'));
    found.map(|(template, operations)| (template.as_str(), operations))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if part_fits(wanted, given) => {}
            _ => return false,
        }
    }
}

fn part_fits(template: &str, part: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else {
        return template == part;
    };
    let (_, after) = rest.split_once('}').expect("a closed parameter");
    let inner = part
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|name| !name.is_empty())
}

/// The errors that a response is described to have: its list, each with its meaning.
pub fn errors_of(response: &Value) -> BTreeSet<&str> {
    let (response, _) = resolved(response, String::new());
    let lines = response["description"].as_str().unwrap_or_default().lines();
    let named = lines.filter_map(|line| line.strip_prefix("* `")?.split_once("`: "));
    named.map(|(error, _)| error).collect()
}

fn error_is(received: ReceivedAnswer<'_>, error: &str) -> Result<(), String> {
    let body: Value = serde_json::from_slice(received.body).unwrap_or_default();
    if received.body.is_empty() || body["error"] == error {
        return Ok(());
    }
    Err(format!("{body} instead of {error}"))
}

fn check_headers(response: &Value, received: ReceivedAnswer<'_>) -> Result<(), String> {
    let Some(headers) = response["headers"].as_object() else {
        return Ok(());
    };
    for (name, header) in headers {
        let (header, _) = resolved(header, String::new());
        let mut given = received.headers.iter();
        let given = given.find(|(given, _)| given.eq_ignore_ascii_case(name));
        let Some((_, value)) = given else {
            if header["required"] == true {
                return Err(format!("{name} is missing"));
            }
            continue;
        };
        let is_number = header["schema"]["type"] == "integer";
        let value = match value.parse::<u64>() {
            Ok(number) if is_number => json!(number),
            _ => json!(value),
        };
        let schema = &header["schema"];
        if !jsonschema::is_valid(schema, &value) {
            return Err(format!("{name} is {value}, not {schema}"));
        }
    }
    Ok(())
}

fn check_content(
    method: &str,
    response: &Value,
    pointer: &str,
    received: ReceivedAnswer<'_>,
) -> Result<(), String> {
    let Some(content) = response["content"].as_object() else {
        return match received.body {
            [] => Ok(()),
            body => Err(format!("a body of {} bytes instead of none", body.len())),
        };
    };
    let content_type = received.content_type.unwrap_or_default();
    if !content.contains_key(content_type) {
        return Err(format!("{content_type:?} is not described at {pointer}"));
    }
    // The client reads what comes in pieces later.
    let name = |(name, _): &(String, String)| name.eq_ignore_ascii_case("transfer-encoding");
    let is_whole = method != "HEAD" && !received.headers.iter().any(name);
    if !is_whole || !content_type.ends_with("json") {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(received.body).map_err(|error| error.to_string())?;
    let pointer = format!("{pointer}/content/{}/schema", escaped(content_type));
    let schema = schema(&pointer);
    let errors: Vec<_> = schema
        .iter_errors(&body)
        .map(|error| error.to_string())
        .collect();
    let error = body["error"].as_str();
    if let Some(error) = error.filter(|error| !errors_of(response).contains(error)) {
        return Err(format!("{error} is not described at {pointer}"));
    }
    match errors[..] {
        [] => Ok(()),
        _ => Err(format!(
            "{body} does not fit {pointer}: {}",
            errors.join("; ")
        )),
    }
}
