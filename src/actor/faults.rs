use std::any::type_name;
use std::fmt;
use std::sync::Arc;

/// Where tests make the actors panic: told of every point that is passed, by the actor's name and the point's.
type Saboteur = dyn Fn(&str, &str) + Send + Sync;

/// The points at which a test may step in. Nobody does outside of tests.
#[derive(Clone, Default)]
pub(crate) struct Faults(Option<Arc<Saboteur>>);

impl Faults {
    pub(crate) fn new(saboteur: Arc<Saboteur>) -> Self {
        Self(Some(saboteur))
    }

    /// Whether nobody steps in anywhere.
    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn pass(&self, actor: &str, point: impl FnOnce() -> String) {
        if let Some(saboteur) = &self.0 {
            saboteur(actor, &point());
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faults").field(&self.0.is_some()).finish()
    }
}

/// The point before a message is taken.
pub(super) fn before<M>() -> String {
    format!("{} comes", name::<M>())
}

/// The point after it was.
pub(super) fn after<M>() -> String {
    format!("{} done", name::<M>())
}

fn name<M>() -> &'static str {
    type_name::<M>().rsplit("::").next().unwrap_or_default()
}
