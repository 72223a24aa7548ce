//! The address of the page to pay at.

use serde_json::json;

use super::from_file;

#[test]
fn only_addresses_of_pages_are_taken() {
    let page = |text: &str| from_file("sale.payment_page", &json!(text));
    for taken in ["https://shop.example/pay?lang=en", "http://[::1]:8090/"] {
        let config = page(taken).unwrap();
        assert_eq!(config.sale.payment_page.as_deref(), Some(taken));
    }
    assert_eq!(page("").unwrap().sale.payment_page, None);
    for wrong in [
        "shop.example/pay",
        "ftp://shop.example/",
        "https://shop.example:/pay",
        "https://shop.example:99999/pay",
        "https://shop.example/pay#top",
        "https://shop.example/\"onload=",
        "https://shop.example/{{status}}",
    ] {
        assert!(page(wrong).is_err(), "{wrong}");
    }
}
