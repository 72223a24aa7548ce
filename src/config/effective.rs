//! The configuration in effect, as text that may be shown.

use super::keys::Key;

/// The values in effect, in the order in which they were read. Of secrets it holds whether they are set.
#[derive(Clone, Debug, Default)]
pub(super) struct Effective {
    values: Vec<(Key, String)>,
    sections_off: Vec<&'static str>,
    unused: Vec<Key>,
}

impl Effective {
    /// Notes the value of a key, in place of an earlier one.
    pub(super) fn set(&mut self, key: Key, value: String) {
        match self.values.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.values.push((key, value)),
        }
    }

    /// Notes that no key of this section has an effect.
    pub(super) fn switch_off(&mut self, section: &'static str) {
        self.sections_off.push(section);
    }

    /// Notes that these keys have no effect beside the others.
    pub(super) fn leave_out(&mut self, keys: &[Key]) {
        self.unused.extend_from_slice(keys);
    }

    /// `key=value` for every key that has an effect, and `section=off` for a section of which none has.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (key, value) in &self.values {
            let section = key.section();
            if self.sections_off.contains(&section) {
                lines.push(format!("{section}=off"));
            } else if !self.unused.contains(key) {
                lines.push(format!("{}={value}", key.path));
            }
        }
        lines.dedup();
        lines
    }

    /// The value of a key, if it was read.
    #[cfg(test)]
    pub(super) fn get(&self, key: Key) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| *known == key)?;
        Some(&found.1)
    }
}
