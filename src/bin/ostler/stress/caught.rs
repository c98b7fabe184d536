use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

/// A panic on purpose.
#[derive(Debug)]
struct OnPurpose;

/// Panics, without a word on stderr.
pub(super) fn panic_on_purpose() -> ! {
    resume_unwind(Box::new(OnPurpose))
}

/// How a piece of work panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Panicked {
    /// By [`panic_on_purpose`], or because a fake runtime's script said so.
    OnPurpose,
    /// With these words.
    ByMistake(String),
}

/// Lets a future panic without its task. What the future holds is dropped while it unwinds.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(judge(&*panic))),
    })
    .await
}

/// Whether a panic was meant.
pub(super) fn judge(panic: &(dyn Any + Send)) -> Panicked {
    if panic.is::<OnPurpose>() {
        return Panicked::OnPurpose;
    }
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    match words {
        Some(words) if is_scripted(words) => Panicked::OnPurpose,
        words => Panicked::ByMistake(words.unwrap_or("without words").to_owned()),
    }
}

fn is_scripted(words: &str) -> bool {
    words.starts_with("scripted panic")
}

/// Keeps panics that are meant off stderr, from now on.
pub(super) fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().is_some_and(is_scripted) {
            usual(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_apart() {
        pollster::block_on(async {
            assert_eq!(caught(async { 7 }).await, Ok(7));
            assert_eq!(caught(async { panic_on_purpose() }).await, Err::<(), _>(Panicked::OnPurpose));
            let mistake = caught(async { resume_unwind(Box::new("scripted panic: launch".to_owned())) });
            assert_eq!(mistake.await, Err::<(), _>(Panicked::OnPurpose));
            let mistake = caught(async { resume_unwind(Box::new("oops")) });
            assert_eq!(mistake.await, Err::<(), _>(Panicked::ByMistake("oops".to_owned())));
        });
    }
}
