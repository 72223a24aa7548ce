//! The documents say of the keys what their rows say.

use super::keys::Key;
use super::*;

/// The cells of a row of a table, without the marks of code.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|');
    let plain = |cell: &str| cell.trim().replace('`', "");
    inner.split(" | ").map(plain).collect()
}

#[test]
fn the_operations_page_has_every_key_with_its_default_and_what_is_allowed() {
    let page = include_str!("../../../docs/operations.md");
    let mut table = "| key | variable | default | must be |\n|---|---|---|---|\n".to_owned();
    for (key, default, allowed) in keys::documented() {
        let default = match &*default {
            "" | "none" => String::new(),
            shown => format!("`{shown}`"),
        };
        let Key { path, variable, .. } = key;
        table += &format!("| `{path}` | `{variable}` | {default} | {allowed} |\n");
    }
    assert!(page.contains(&table), "docs/operations.md lacks\n{table}");
}

#[test]
fn the_readme_has_no_other_variables_and_defaults_than_the_rows() {
    let readme = include_str!("../../../README.md");
    let shipped: Value = serde_json::from_str(include_str!("../../../config.json")).unwrap();
    let documented = keys::documented();
    let (_, after) = readme.split_once("\n## Configuration\n").unwrap();
    let (_, table) = after.split_once("|---|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut seen = 0;
    for row in rows {
        let cells = cells(row);
        let [paths, variables, defaults] = [0, 1, 2].map(|cell| cells[cell].split(", "));
        let paths: Vec<_> = paths.collect();
        let section = paths[0].split_once('.').unwrap().0;
        // `.port` behind `database.host` is `database.port`.
        let paths = paths.iter().map(|path| match path.strip_prefix('.') {
            Some(name) => format!("{section}.{name}"),
            None => (*path).to_owned(),
        });
        let keys = paths.map(|path| {
            let found = documented.iter().find(|(key, ..)| key.path == path);
            found.unwrap_or_else(|| panic!("README has {path}"))
        });
        let keys: Vec<_> = keys.collect();
        seen += keys.len();
        let expected: Vec<_> = keys.iter().map(|(key, ..)| key.variable).collect();
        assert_eq!(variables.collect::<Vec<_>>(), expected, "{row}");
        for ((key, default, _), said) in keys.iter().zip(defaults) {
            let (section, name) = key.path.split_once('.').unwrap();
            let in_file = shipped[section][name].to_string();
            let is_said = match said {
                "off" | "none" | "the system's" | "drawn at the first start" => {
                    matches!(&**default, "" | "none" | "off")
                }
                said => said == default || said == in_file,
            };
            assert!(
                is_said,
                "{}: README has {said:?}, not {default:?}",
                key.path
            );
        }
    }
    assert!(seen > 30, "{seen}");
}
