//! The address of an endpoint.

use std::fmt;

use http::Uri;

/// An absolute address of HTTP, taken apart once.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    host: String,
    port: u16,
    is_encrypted: bool,
    authority: String,
    target: String,
}

impl WebhookUrl {
    /// Takes `text` apart; `None` when it is no address of a host by `http` or `https`, or has a user, a port that is none, or a
    /// fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_encrypted = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let has_user = authority.as_str().contains('@');
        // What is no number of a port is none to `http`, which would leave the usual one.
        let has_port = authority.as_str().len() > authority.host().len();
        let is_port = authority.port_u16().is_some_and(|port| port > 0);
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if has_user || has_port && !is_port || host.is_empty() || text.contains('#') {
            return None;
        }
        let port = uri
            .port_u16()
            .unwrap_or(if is_encrypted { 443 } else { 80 });
        Some(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            is_encrypted,
            authority: authority.as_str().to_owned(),
            target: uri
                .path_and_query()
                .map_or("/", |it| it.as_str())
                .to_owned(),
        })
    }

    /// Returns the whole address. A secret may be in it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether it is reached by TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns scheme, host and port: what logs may have of it.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Returns the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port, as they were given.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// Prints nothing behind the host: a secret may be there.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({})", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_shown_without_its_path() {
        let url = WebhookUrl::parse("https://shop.example/hook?key=7").expect("an address");
        assert_eq!((url.host(), url.port()), ("shop.example", 443));
        assert_eq!(
            (url.authority(), url.target()),
            ("shop.example", "/hook?key=7")
        );
        assert_eq!(format!("{url:?}"), "WebhookUrl(https://shop.example)");
        let url = WebhookUrl::parse("http://[::1]:8080").expect("an address");
        assert_eq!((url.host(), url.port(), url.target()), ("::1", 8080, "/"));
        for wrong in [
            "",
            "shop.example",
            "/hook",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/#b",
            "https://",
            "https://a:/",
            "https://a:0/",
            "https://a:65536/",
            "https://a:b/",
            "https://[::1]:/",
        ] {
            assert_eq!(WebhookUrl::parse(wrong), None, "{wrong}");
        }
    }
}
