//! A front end on another origin than the server.

use serde_json::json;

use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::server::Server;

/// Lists, buys and watches as a front end does; the names of the errors where the browser forbids it.
const SHOPPING: &str = r#"(async () => {
    const attempt = (work) => work().catch((error) => error.name);
    const post = (path, body) => fetch(server + path, {
        method: "POST",
        headers: {"Content-Type": "application/json", "Idempotency-Key": "k1", "X-Trace": "1"},
        body: JSON.stringify(body),
    }).then((answer) => answer.json());
    const listed = await attempt(async () => {
        const answer = await fetch(server + "/sales/1/items?limit=2");
        return [(await answer.json()).length, answer.headers.get("Link") !== null];
    });
    const bought = await attempt(async () => {
        const {code} = await post("/checkout", {user_id: "ann", id: "ITM-1-0"});
        return (await post("/purchase", {code})).total_purchased;
    });
    const refused = await attempt(async () =>
        (await post("/checkout", {user_id: "bob", id: "ITM-1-0"})).error);
    const watched = await new Promise((resolve) => {
        const stream = new EventSource(server + "/sales/1/stream");
        const end = (said) => { stream.close(); resolve(said); };
        stream.addEventListener("stock", (event) => end(JSON.parse(event.data).sold));
        stream.addEventListener("error", () => end("error"));
    });
    const health = await attempt(async () => (await fetch(server + "/health")).status);
    return {listed, bought, refused, watched, health};
})()"#;

#[test]
fn a_page_on_another_origin_buys_lists_and_watches() {
    let front = Server::start(&[]);
    let own = format!("http://{}", front.addr());
    let browser = Browser::start();
    // JSON has no content security policy, so that a page that shows it may call whom it likes.
    let mut page = browser.open(Look::PHONE, front.addr(), "/sales");
    page.forgive_all();
    for (origins, is_open) in [
        ("*", true),
        (own.as_str(), true),
        ("https://shop.example", false),
    ] {
        let server = Server::start(&[("SERVER_CORS_ORIGINS", origins)]);
        let script = SHOPPING.replace("server +", &format!("'http://{}' +", server.addr()));
        let expected = match is_open {
            true => json!({
                "listed": [2, true],
                "bought": 1,
                "refused": "item_sold_out",
                "watched": 1,
                "health": "TypeError",
            }),
            false => json!({
                "listed": "TypeError",
                "bought": "TypeError",
                "refused": "TypeError",
                "watched": "error",
                "health": "TypeError",
            }),
        };
        assert_eq!(page.evaluate(&script), expected, "{origins}");
    }
}
