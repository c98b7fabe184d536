//! In the place of `src/handoff/sync.rs`: everything the scheduler must see. The real queue cannot be
//! instrumented; its stand-in is one whose operations are each a single step.

use std::collections::VecDeque;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
pub(crate) use shuttle::thread::yield_now as pause;
pub(crate) use std::sync::PoisonError;

/// Few, so that some have to stand.
pub(crate) const SEATS: usize = 2;

/// Fewer than threads, so that some share.
pub(crate) const POCKETS: usize = 2;

pub(crate) fn thread() -> usize {
    shuttle::current::me().into()
}

pub(crate) struct Cell<T>(Mutex<T>);

impl<T: Default> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn store(&self, value: T) {
        *self.0.lock().expect("nothing panics under this lock") = value;
    }

    pub(crate) fn take(&self) -> T {
        std::mem::take(&mut *self.0.lock().expect("nothing panics under this lock"))
    }
}

pub(crate) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: Mutex::new(VecDeque::new()), capacity }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.items();
        if items.len() == self.capacity {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.items().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items().len()
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().expect("nothing panics under this lock")
    }
}
