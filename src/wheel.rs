//! stub
use std::collections::BTreeMap;
use crate::types::Timestamp;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(u32);
pub struct Wheel<T> { map: BTreeMap<(Timestamp, u32), T>, keys: BTreeMap<u32, Timestamp>, next: u32 }
impl<T> Wheel<T> {
    pub fn new(_: Timestamp) -> Self { Self { map: BTreeMap::new(), keys: BTreeMap::new(), next: 0 } }
    pub fn arm(&mut self, at: Timestamp, value: T) -> TimerKey { self.next += 1; self.map.insert((at, self.next), value); self.keys.insert(self.next, at); TimerKey(self.next) }
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> { let at = self.keys.remove(&key.0)?; self.map.remove(&(at, key.0)) }
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let (&(at, n), _) = self.map.first_key_value()?;
        if at > now { return None; }
        self.keys.remove(&n);
        self.map.remove(&(at, n)).map(|v| (at, v)) }
    pub fn next_due(&self) -> Option<Timestamp> { self.map.first_key_value().map(|(k, _)| k.0) }
    pub fn len(&self) -> usize { self.map.len() }
    pub fn is_empty(&self) -> bool { self.map.is_empty() }
}
