//! The operations that run, by place and by the host's name for them.

use std::collections::HashMap;

use crate::operation::Operation;
use crate::stream::Side;

/// A place in a table, good until what was put there is taken out: the generation tells it from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) index: u16,
    pub(crate) generation: u32,
}

/// Values at places of their own.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u16>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts a value in; `None` when no place is left.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        let index = if let Some(index) = self.free.pop() {
            index
        } else {
            let index = u16::try_from(self.slots.len()).ok()?;
            self.slots.push((0, None));
            index
        };
        let (generation, slot) = self.slots.get_mut(usize::from(index))?;
        *slot = Some(value);
        Some(Key { index, generation: *generation })
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slots.get_mut(usize::from(key.index)) {
            Some((generation, slot)) if *generation == key.generation => slot.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let value = match self.slots.get_mut(usize::from(key.index)) {
            Some((generation, slot)) if *generation == key.generation => {
                let value = slot.take()?;
                *generation = generation.wrapping_add(1);
                value
            }
            _ => return None,
        };
        self.free.push(key.index);
        Some(value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        (0..).zip(&mut self.slots).filter_map(|(index, (generation, slot))| {
            Some((Key { index, generation: *generation }, slot.as_mut()?))
        })
    }
}

/// The operations that run.
#[derive(Debug)]
pub(crate) struct Table {
    slab: Slab<Operation>,
    keys: HashMap<(Side, u64), Key>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(), keys: HashMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Where the operation of that name is.
    pub(crate) fn find(&self, side: Side, id: u64) -> Option<Key> {
        self.keys.get(&(side, id)).copied()
    }

    pub(crate) fn insert(&mut self, operation: Operation) -> Option<Key> {
        let name = (operation.side, operation.id);
        let key = self.slab.insert(operation)?;
        self.keys.insert(name, key);
        Some(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Operation> {
        self.slab.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Operation> {
        let operation = self.slab.remove(key)?;
        self.keys.remove(&(operation.side, operation.id));
        Some(operation)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Operation)> {
        self.slab.iter_mut()
    }

    /// Those of one stream.
    pub(crate) fn keys_of(&mut self, side: Side) -> Vec<Key> {
        self.iter_mut().filter(|(_, operation)| operation.side == side).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_does_not_open_a_new_tenants_place() {
        let mut slab = Slab::new();
        let old = slab.insert('a').expect("there is room");
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert('b').expect("there is room");
        assert_eq!(new.index, old.index);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get_mut(new), Some(&mut 'b'));
        assert_eq!(slab.len(), 1);
    }
}
