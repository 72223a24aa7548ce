//! Finds the paths that a source file names, and those that it re-exports.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::layering::map::{may_name, may_see, may_use};

/// Every path in tokens that nobody has parsed, such as a macro's, with its line.
pub(crate) fn paths_in(tokens: TokenStream) -> Vec<(Vec<String>, usize)> {
    let mut paths: Vec<(Vec<String>, usize)> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                let segment = ident.to_string();
                match paths.last_mut() {
                    Some((path, _)) if colons == 2 => path.push(segment),
                    _ => paths.push((vec![segment], ident.span().start().line)),
                }
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                paths.extend(paths_in(group.stream()));
                // Separates what stands on the two sides of the group.
                colons = 0;
            }
            _ => colons = 0,
        }
    }
    paths
}

/// A path that a file names, from the crate's root.
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Walks one file and notes the paths that its part may not name.
pub(crate) struct Scan {
    pub(crate) name: String,
    pub(crate) part: String,
    pub(crate) module: Vec<String>,
    pub(crate) broken: Vec<String>,
    /// The modules that are declared here, live in other files and exist for tests only.
    pub(crate) test_modules: Vec<Vec<String>>,
    /// All paths into the crate.
    pub(crate) named: Vec<Named>,
    /// Visible `use` declarations: the path under which a name is visible, and the one that it stands for.
    pub(crate) reexports: Vec<(Vec<String>, Vec<String>)>,
    /// What names stand for that were imported into this file.
    imports: HashMap<String, Vec<String>>,
}

impl Scan {
    pub(crate) fn new(name: &str) -> Self {
        let stem = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        let part = module[0].clone();
        if part == "lib" || part == "main" {
            module.clear();
        }
        let mut scan = Self {
            name: name.to_owned(),
            part,
            module,
            broken: vec![],
            test_modules: vec![],
            named: vec![],
            reexports: vec![],
            imports: HashMap::new(),
        };
        if !may_use(&scan.part, &scan.part) {
            scan.broken
                .push(format!("{name}: {} is not a part on the map", scan.part));
        }
        scan
    }

    /// The path from the crate's root, if it leads into the crate by a keyword or its name.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let path = match path.first()?.as_str() {
            "crate" | "flashsale" => return Some(path[1..].to_vec()),
            "self" => &path[1..],
            "super" => path,
            _ => return None,
        };
        let supers = path
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let kept = self.module.len().saturating_sub(supers);
        Some([&self.module[..kept], &path[supers..]].concat())
    }

    fn note(&mut self, path: &[String], line: usize) {
        let imported = path.first().and_then(|first| self.imports.get(first));
        let breach = match self.resolve(path) {
            Some(inside) => {
                let breach = match inside.first() {
                    Some(part) if !may_use(&self.part, part) => Some(format!("may not use {part}")),
                    Some(part) if !may_see(&self.part, &inside) => {
                        Some(format!("may not use all of {part}"))
                    }
                    _ => None,
                };
                self.named.push(Named { path: inside, line });
                match breach {
                    Some(breach) => breach,
                    None => return,
                }
            }
            // The import itself was looked at before.
            None if imported.is_some() => {
                let path = [imported.map_or(&[][..], Vec::as_slice), &path[1..]].concat();
                return self.named.push(Named { path, line });
            }
            None if may_name(&self.part, &path.join("::")) => return,
            None => "may not name it".to_owned(),
        };
        let Self { name, part, .. } = self;
        let path = path.join("::");
        self.broken
            .push(format!("{name}:{line}: {path}: {part} {breach}"));
    }

    fn note_use(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>, is_visible: bool) {
        match tree {
            syn::UseTree::Name(name) => {
                let line = line_of(&name.ident);
                self.note_import(prefix, &name.ident, None, line, is_visible);
            }
            syn::UseTree::Rename(rename) => {
                let (line, alias) = (line_of(&rename.ident), rename.rename.to_string());
                self.note_import(prefix, &rename.ident, Some(alias), line, is_visible);
            }
            syn::UseTree::Glob(glob) => {
                let line = glob.span().start().line;
                self.note_import(prefix, &'*', None, line, is_visible);
            }
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.note_use(&path.tree, prefix, is_visible);
                prefix.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(tree, prefix, is_visible);
                }
            }
        }
    }

    /// Notes the path of one imported name, and the name as a re-export where others can see it.
    fn note_import(
        &mut self,
        prefix: &[String],
        ident: &dyn ToString,
        alias: Option<String>,
        line: usize,
        is_visible: bool,
    ) {
        let ident = ident.to_string();
        let mut path = prefix.to_vec();
        // `a::{self}` names `a`.
        if ident != "self" || path.is_empty() {
            path.push(ident);
        }
        self.note(&path, line);
        let Some(alias) = alias.or_else(|| path.last().cloned()) else {
            return;
        };
        let resolved = self.resolve(&path);
        if is_visible {
            let visible = [&self.module[..], std::slice::from_ref(&alias)].concat();
            // A path without a keyword begins in the module itself, or leads out of the crate.
            let local = || [&self.module[..], &path[..]].concat();
            let mut target = resolved.clone().unwrap_or_else(local);
            if alias == "*" {
                target.pop();
            }
            self.reexports.push((visible, target));
        }
        if let Some(resolved) = resolved {
            self.imports.insert(alias, resolved);
        }
    }
}

fn line_of(ident: &Ident) -> usize {
    ident.span().start().line
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`: code that no release contains.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| {
            let condition = attribute
                .meta
                .require_list()
                .map(|list| list.tokens.to_string());
            let condition = condition.unwrap_or_default().replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        })
}

impl Visit<'_> for Scan {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let is_visible = !matches!(item.vis, syn::Visibility::Inherited);
        self.note_use(&item.tree, &mut Vec::new(), is_visible);
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        } else if item.content.is_none() {
            self.test_modules.push(self.module.clone());
        }
        self.module.pop();
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        // A single name is a local, whatever it is called.
        if segments.len() > 1 {
            self.note(&segments, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.visit_path(&call.path);
        for (path, line) in paths_in(call.tokens.clone()) {
            if path.len() > 1 {
                self.note(&path, line);
            }
        }
    }
}
