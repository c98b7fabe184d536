//! A fake backend's script that a test turns while it runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ostler::backend::fake::{Act, Point, Script};

/// Works at every point, except where it was told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<HashMap<Point, Act>>>);

impl Gates {
    pub fn set(&self, point: Point, act: Act) {
        self.0.lock().expect("not poisoned").insert(point, act);
    }
}

impl Script for Gates {
    fn next(&self, point: Point) -> Act {
        self.0.lock().expect("not poisoned").get(&point).copied().unwrap_or(Act::Work)
    }
}
