//! The webhooks: a list of endpoints, each an object.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::keys;
use super::raw::Given;
use super::rules::{is_webhook_secret, webhook_secret_allowed};
use super::validate::Check;
use super::values::AllowedValues;
use crate::env::{Secret, SecretFile};
use crate::limits::WEBHOOKS_MAX;
use crate::types::{EventType, SaleId, WebhookUrl};

/// An endpoint that is told events.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Its address.
    pub url: WebhookUrl,
    /// What signs messages to it: one secret, or two with a space or a line break between them.
    pub secrets: Secret,
    /// The types of events that it is told; empty for all.
    pub types: Vec<EventType>,
    /// The sales whose events it is told; empty for all.
    pub sale_ids: Vec<SaleId>,
    /// It may have an address of a private network, and need no TLS.
    pub allow_private: bool,
    /// File of the authorities that may sign its certificate, in PEM; `None` for those that the system trusts.
    pub sslrootcert: Option<PathBuf>,
}

/// The keys of an endpoint.
const NAMES: [&str; 7] = [
    "url",
    "secret",
    "secret_file",
    "types",
    "sale_ids",
    "allow_private",
    "sslrootcert",
];

/// A list of objects, which may hold secrets: in the file as it is, elsewhere as text.
pub(super) struct Objects;

impl AllowedValues for Objects {
    type Value = Vec<Map<String, Value>>;

    const SECRET: bool = true;

    fn default(&self) -> Self::Value {
        Vec::new()
    }

    fn parse(&self, given: &Given) -> Option<Self::Value> {
        let list = match given {
            Given::Json(value) => value.clone(),
            Given::Text(text) => serde_json::from_str(text).ok()?,
        };
        let Value::Array(list) = list else {
            return None;
        };
        let objects = list.into_iter().map(|object| match object {
            Value::Object(object) => Some(object),
            _ => None,
        });
        let objects: Self::Value = objects.collect::<Option<_>>()?;
        (objects.len() <= WEBHOOKS_MAX).then_some(objects)
    }

    fn allowed(&self) -> String {
        format!("a list of up to {WEBHOOKS_MAX} objects, each with url, and secret or secret_file")
    }

    fn show(&self, objects: &Self::Value) -> String {
        match objects.len() {
            0 => "none".to_owned(),
            count => format!("{count} set"),
        }
    }
}

/// Reads the endpoints. One that is wrong is refused with what is allowed.
pub(super) fn webhooks(check: &mut Check) -> Vec<WebhookConfig> {
    let objects = check.read(keys::WEBHOOKS);
    let mut endpoints: Vec<WebhookConfig> = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        match endpoint(object) {
            Ok(endpoint) if endpoints.iter().any(|known| known.url == endpoint.url) => {
                let allowed = format!(
                    "a list of endpoints with different urls: [{index}] has one that is there already"
                );
                check.refuse(keys::WEBHOOKS.key, allowed);
            }
            Ok(endpoint) => endpoints.push(endpoint),
            Err(allowed) => check.refuse(
                keys::WEBHOOKS.key,
                format!("a list of endpoints, and of [{index}] {allowed}"),
            ),
        }
    }
    endpoints
}

/// Reads one endpoint.
///
/// # Errors
/// Says what is allowed, and nothing of what was given but names.
fn endpoint(object: &Map<String, Value>) -> Result<WebhookConfig, String> {
    if object.keys().any(|name| !NAMES.contains(&&**name)) {
        return Err(format!("no keys but {} are known", NAMES.join(", ")));
    }
    let url = text(object, "url")?.ok_or("url must be given")?;
    let url = WebhookUrl::parse(url)
        .ok_or("url must be an absolute address by https, without a user and a fragment")?;
    let allow_private = match object.get("allow_private") {
        None => false,
        Some(Value::Bool(allowed)) => *allowed,
        Some(_) => return Err("allow_private must be true or false".into()),
    };
    if !url.is_encrypted() && !allow_private {
        return Err("url must be by https where allow_private is not true".into());
    }
    Ok(WebhookConfig {
        url,
        secrets: secrets(object)?,
        types: types(object)?,
        sale_ids: sale_ids(object)?,
        allow_private,
        sslrootcert: text(object, "sslrootcert")?.map(PathBuf::from),
    })
}

fn text<'o>(object: &'o Map<String, Value>, name: &str) -> Result<Option<&'o str>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text that is not empty")),
    }
}

fn texts<'o>(object: &'o Map<String, Value>, name: &str) -> Result<Vec<&'o str>, String> {
    let list = match object.get(name) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    list.ok_or_else(|| format!("{name} must be a list of texts"))
}

/// Reads the secret, or both of a rotation: a text, a list of them, or a file that is read again at SIGHUP.
fn secrets(object: &Map<String, Value>) -> Result<Secret, String> {
    let allowed = || format!("secret must be {}", webhook_secret_allowed());
    let given = match object.get("secret") {
        Some(Value::String(secret)) => Some(secret.clone()),
        Some(Value::Array(_)) => Some(texts(object, "secret").map_err(|_| allowed())?.join(" ")),
        Some(_) => return Err(allowed()),
        None => None,
    };
    match (given, text(object, "secret_file")?) {
        (Some(secret), None) if is_webhook_secret(&secret) => Ok(Secret::from(&*secret)),
        (Some(_), None) => Err(allowed()),
        (None, Some(path)) => {
            let file = SecretFile {
                name: "secret_file of a webhook",
                path: path.into(),
                is_allowed: is_webhook_secret,
                allowed: webhook_secret_allowed,
            };
            let read = file.read_allowed();
            let secret =
                read.map_err(|why| format!("secret_file must be one that can be used: {why}"))?;
            Ok(Secret::of_file(secret, file))
        }
        (Some(_), Some(_)) | (None, None) => {
            Err("either secret or secret_file must be given".into())
        }
    }
}

fn types(object: &Map<String, Value>) -> Result<Vec<EventType>, String> {
    let named = texts(object, "types")?.into_iter().map(EventType::named);
    named.collect::<Option<_>>().ok_or_else(|| {
        let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.name()).collect();
        format!("types must be a list of {}", known.join(", "))
    })
}

fn sale_ids(object: &Map<String, Value>) -> Result<Vec<SaleId>, String> {
    let ids = texts(object, "sale_ids")?.into_iter().map(str::parse);
    ids.collect::<Result<_, _>>()
        .map_err(|_| "sale_ids must be a list of the numbers of sales, as texts".to_owned())
}
