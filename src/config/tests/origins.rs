//! Origins whose pages may call the interface.

use serde_json::json;

use super::from_file;

#[test]
fn only_origins_as_browsers_send_them_are_taken() {
    let origins = [
        "https://shop.example",
        "http://localhost:3000",
        "https://[fd00::7]:8443",
        "http://127.0.0.1",
        "capacitor://localhost",
    ];
    for taken in [json!(["*"]), json!([]), json!(origins)] {
        let config = from_file("server.cors_origins", &taken).unwrap();
        assert_eq!(json!(config.server.cors_origins), taken);
    }
    for wrong in [
        "",
        "null",
        "shop.example",
        "https://shop.example/",
        "https://shop.example/app",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:0",
        "https://shop.example:",
        "https://Shop.example",
        "https://*.shop.example",
        "https://user@shop.example",
        "https://[fd00::07]",
        "https://shop.example\r\nx: y",
    ] {
        let said = from_file("server.cors_origins", &json!([wrong])).unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("as browsers send them, such as"),
            "{wrong}: {said}"
        );
    }
    for wrong in [
        json!("*"),
        json!(["*", "https://a.example"]),
        json!([7]),
        json!(vec!["http://a"; 65]),
    ] {
        assert!(from_file("server.cors_origins", &wrong).is_err(), "{wrong}");
    }
}
