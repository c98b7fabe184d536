use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Fault;

/// Orders that may be open. With more, clients don't come to leases, and more orders would change nothing.
const OPEN: usize = 64;

/// Faults that the next clients with a lease are to do. One pool's.
#[derive(Debug, Default)]
pub(in super::super) struct Orders(Mutex<VecDeque<Fault>>);

impl Orders {
    /// Answers whether it was taken up.
    pub(in super::super) fn give(&self, fault: Fault) -> bool {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = orders.len() < OPEN;
        if fits {
            orders.push_back(fault);
        }
        fits
    }

    pub(in super::super) fn take(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
