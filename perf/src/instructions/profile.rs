//! The profiles that callgrind writes.

use std::collections::HashMap;

/// The instructions of each function, without those of the functions that it calls.
#[derive(Debug, Default)]
pub struct Profile {
    /// Instructions by function.
    pub functions: HashMap<String, u64>,
}

impl Profile {
    /// Reads the format of callgrind's files, with one kind of event.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names: HashMap<&str, String> = HashMap::new();
        let mut functions: HashMap<String, u64> = HashMap::new();
        let mut function = String::new();
        let mut is_of_callee = false;
        for line in text.lines() {
            if let Some(given) = line.strip_prefix("fn=") {
                function = resolve(given, &mut names);
            } else if let Some(given) = line.strip_prefix("cfn=") {
                // A name is spelled out only where it comes first.
                resolve(given, &mut names);
            } else if line.starts_with("calls=") {
                is_of_callee = true;
            } else if line
                .starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
                if !std::mem::take(&mut is_of_callee) {
                    *functions.entry(function.clone()).or_default() += cost.unwrap_or(0_u64);
                }
            }
        }
        Self { functions }
    }

    /// Returns the instructions of all functions.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.functions.values().sum()
    }
}

/// Returns the name of `(id) name` or `(id)`, without the hash of the compiler.
fn resolve<'a>(given: &'a str, names: &mut HashMap<&'a str, String>) -> String {
    let (id, name) = given.split_once(' ').unwrap_or((given, ""));
    if name.is_empty() {
        return names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    }
    let has_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit());
    let plain = match name.rsplit_once("::h") {
        Some((plain, hash)) if has_hash(hash) => plain,
        _ => name,
    };
    names.insert(id, plain.to_owned());
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_counts_each_instruction_once() {
        let text = "positions: line\nevents: Ir\n\nfl=(1) a.rs\nfn=(1) main::h0123456789abcdef\n0 10\n\
                    cfn=(2) work\ncalls=3 0\n0 600\n+2 5\n\nfn=(2)\n* 600\n\ntotals: 615\n";
        let profile = Profile::parse(text);
        assert_eq!(profile.total(), 615);
        assert_eq!(profile.functions["main"], 15);
        assert_eq!(profile.functions["work"], 600);
    }
}
