//! Follows re-exports: a part that names one uses the part that the name comes from.
//!
//! A type of the journal that `sale` re-exports is the journal's, however it is named. What `sale` wraps in a type or
//! function of its own is `sale`'s.

use std::collections::HashMap;

use crate::layering::map::{may_see, may_use};
use crate::layering::scan::{Named, Scan};

/// The most re-exports between a name and what it stands for.
const STEPS_MAX: usize = 8;

/// The visible `use` declarations of the crate, by module.
#[derive(Default)]
pub(crate) struct Reexports {
    /// Single names: the path under which a name is visible, and the path that it stands for.
    names: HashMap<Vec<String>, Vec<String>>,
    /// Globs: the module that has them, and the modules whose names they make visible.
    globs: HashMap<Vec<String>, Vec<Vec<String>>>,
}

impl Reexports {
    pub(crate) fn of<'a>(scans: impl Iterator<Item = &'a Scan>) -> Self {
        let mut reexports = Self::default();
        for (visible, target) in scans.flat_map(|scan| &scan.reexports) {
            match visible.split_last() {
                Some((last, module)) if last == "*" => {
                    let targets = reexports.globs.entry(module.to_vec()).or_default();
                    targets.push(target.clone());
                }
                _ => {
                    reexports.names.insert(visible.clone(), target.clone());
                }
            }
        }
        reexports
    }

    /// The paths that `path` passes through to what it stands for, without itself.
    fn origins(&self, path: &[String]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut open = vec![path.to_vec()];
        for _ in 0..STEPS_MAX {
            let next: Vec<_> = open.iter().flat_map(|path| self.step(path)).collect();
            if next.is_empty() {
                break;
            }
            found.extend(next.iter().cloned());
            open = next;
        }
        found
    }

    /// What `path` stands for by one re-export, which may be in any module on it. A glob may or may not have the name.
    fn step(&self, path: &[String]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for length in 1..=path.len() {
            let (front, rest) = path.split_at(length);
            if let Some(target) = self.names.get(front) {
                found.push([target, rest].concat());
            }
            if !rest.is_empty() {
                let targets = self.globs.get(front).into_iter().flatten();
                found.extend(targets.map(|target| [target, rest].concat()));
            }
        }
        // A glob names everything that is visible in its module.
        if let Some((last, module)) = path.split_last()
            && last == "*"
        {
            let names = self.names.iter();
            let here =
                names.filter(|(visible, _)| visible.split_last().map(|it| it.1) == Some(module));
            found.extend(here.map(|(_, target)| target.clone()));
        }
        found
    }

    /// The breaches of a file: names of parts that it may not use, handed on by parts that it may.
    pub(crate) fn breaches(&self, scan: &Scan) -> Vec<String> {
        let Scan { name, part, .. } = scan;
        let mut broken = Vec::new();
        for Named { path, line } in &scan.named {
            if path.first().is_none_or(|used| !may_use(part, used)) {
                // Reported already.
                continue;
            }
            let origins = self.origins(path);
            let refused = origins.iter().find(|origin| is_refused(part, origin));
            if let Some(other) = refused.and_then(|origin| origin.first()) {
                let path = path.join("::");
                broken.push(format!(
                    "{name}:{line}: {path}: {part} may not use {other}, which this comes from"
                ));
            }
        }
        broken
    }
}

fn is_refused(part: &str, path: &[String]) -> bool {
    path.first()
        .is_some_and(|other| !may_use(part, other) || !may_see(part, path))
}

#[cfg(test)]
mod tests {
    use crate::layering::check;

    fn breaches(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|&(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        check(&files)
    }

    const SALE: (&str, &str) = (
        "sale/mod.rs",
        "pub use crate::journal::{Status, Waiters as W};",
    );

    #[test]
    fn a_reexported_name_belongs_to_the_part_that_it_comes_from() {
        for (name, text) in [
            ("http/mod.rs", "use crate::sale::Status;"),
            ("http/mod.rs", "use crate::sale::{Engine, W};"),
            ("http/mod.rs", "fn f(_: crate::sale::Status) {}"),
            ("http/mod.rs", "use crate::sale; fn f(_: sale::Status) {}"),
            (
                "http/mod.rs",
                "use crate::sale as s; fn f() { s::W::new(); }",
            ),
            ("http/mod.rs", "use crate::sale::*;"),
            ("schedule/mod.rs", "use crate::sale::Status;"),
            ("live/mod.rs", "fn f() { g!(crate::sale::W::new()); }"),
        ] {
            let broken = breaches(&[SALE, (name, text)]);
            assert_eq!(broken.len(), 1, "{name}: {text}: {broken:?}");
            assert!(broken[0].ends_with("which this comes from"), "{broken:?}");
            assert!(broken[0].contains("may not use journal"), "{broken:?}");
        }
    }

    #[test]
    fn a_part_may_get_what_it_may_use_from_another_part() {
        for (name, text) in [
            ("http/mod.rs", "use crate::sale::{Engine, Waiters};"),
            ("app.rs", "use crate::sale::{Status, W};"),
            ("commands/recover.rs", "use crate::sale::W;"),
            ("sale/engine.rs", "use super::Status; use crate::sale::W;"),
        ] {
            let broken = breaches(&[SALE, (name, text)]);
            assert_eq!(broken, Vec::<String>::new(), "{name}: {text}");
        }
        let leaf = ("sale/mod.rs", "pub use crate::types::Lsn;");
        assert!(breaches(&[leaf, ("http/mod.rs", "use crate::sale::Lsn;")]).is_empty());
        // Nobody else sees it.
        let private = (
            "sale/mod.rs",
            "use crate::journal::Status; mod a { pub(super) use crate::journal::X; }",
        );
        assert!(breaches(&[private, ("http/mod.rs", "use crate::sale::Status;")]).is_empty());
        let wrapped = ("sale/mod.rs", "pub struct Status(crate::journal::Status);");
        assert!(breaches(&[wrapped, ("http/mod.rs", "use crate::sale::Status;")]).is_empty());
    }

    #[test]
    fn names_are_followed_through_modules_globs_and_parts() {
        let inner = ("sale/inner.rs", "pub use crate::journal::Status;");
        for sale in [
            "mod inner; pub use inner::Status;",
            "mod inner; pub use self::inner::Status;",
            "pub mod inner; pub use inner::*;",
        ] {
            let files = [
                ("sale/mod.rs", sale),
                inner,
                ("http/mod.rs", "use crate::sale::Status;"),
            ];
            assert_eq!(breaches(&files).len(), 1, "{sale}");
        }
        let through = [
            SALE,
            ("http/mod.rs", "pub use crate::sale::Status;"),
            ("runtime/mod.rs", "use crate::http::Status;"),
        ];
        assert_eq!(breaches(&through).len(), 2);
        let glob = ("sale/mod.rs", "pub use crate::journal::*;");
        let broken = breaches(&[glob, ("http/mod.rs", "use crate::sale::Anything;")]);
        assert_eq!(broken.len(), 1, "{broken:?}");
        let module = ("sale/mod.rs", "pub use crate::journal;");
        let broken = breaches(&[module, ("http/mod.rs", "use crate::sale::journal::Status;")]);
        assert_eq!(broken.len(), 1, "{broken:?}");
    }
}
