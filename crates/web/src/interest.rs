//! Whether somebody still waits for an answer: one end with whoever asked, the other with whoever works on it.

use std::sync::{Arc, Mutex, PoisonError};

type Action = Box<dyn FnOnce() + Send>;

/// The asking end. Dropped before there is an answer, it tells the other end that nobody wants one any more.
#[must_use = "dropping it gives the answer up"]
pub struct Interest(Work);

/// The working end. All clones mean the same question.
#[derive(Clone, Default)]
pub struct Work(Arc<Mutex<State>>);

/// Tells one question from others, as long as it has an end.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asker(*const Mutex<State>);

enum State {
    Wanted(Option<Action>),
    Answered,
    GivenUp,
}

impl Default for State {
    fn default() -> Self {
        Self::Wanted(None)
    }
}

impl Work {
    /// The asking end; there is one.
    pub fn interest(&self) -> Interest {
        Interest(self.clone())
    }

    /// What to do, once, when nobody wants the answer any more; at once if that is so already. Replaces what an earlier
    /// call asked for.
    pub fn on_given_up(&self, action: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        match &mut *state {
            State::Wanted(slot) => {
                let replaced = slot.replace(Box::new(action));
                drop(state);
                drop(replaced);
            }
            State::Answered => {}
            State::GivenUp => {
                drop(state);
                action();
            }
        }
    }

    /// There is an answer: nothing can be given up any more.
    pub fn answered(&self) {
        drop(self.end(State::Answered));
    }

    /// Which question it is the working end of.
    pub fn asker(&self) -> Asker {
        Asker(Arc::as_ptr(&self.0))
    }

    fn end(&self, end: State) -> Option<Action> {
        let mut state = self.lock();
        match &mut *state {
            State::Wanted(action) => {
                let action = action.take();
                *state = end;
                action
            }
            State::Answered | State::GivenUp => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interest {
    /// Which question it is the asking end of.
    pub fn asker(&self) -> Asker {
        self.0.asker()
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        // Done without the lock: it may end what holds the working end.
        if let Some(action) = self.0.end(State::GivenUp) {
            action();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counted(work: &Work) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let shared = count.clone();
        work.on_given_up(move || {
            shared.fetch_add(1, Ordering::Relaxed);
        });
        count
    }

    #[test]
    fn giving_up_is_told_once_and_also_to_who_asks_late() {
        let work = Work::default();
        let interest = work.interest();
        let early = counted(&work);
        assert_eq!(early.load(Ordering::Relaxed), 0);
        drop(interest);
        let late = counted(&work);
        work.answered();
        assert_eq!([early.load(Ordering::Relaxed), late.load(Ordering::Relaxed)], [1, 1]);
    }

    #[test]
    fn after_the_answer_nothing_is_given_up() {
        let work = Work::default();
        let interest = work.interest();
        let early = counted(&work);
        work.answered();
        let late = counted(&work);
        drop(interest);
        assert_eq!([early.load(Ordering::Relaxed), late.load(Ordering::Relaxed)], [0, 0]);
    }

    #[test]
    fn an_answer_lets_go_of_what_the_action_holds() {
        let work = Work::default();
        let held = Arc::new(());
        let holder = held.clone();
        work.on_given_up(move || drop(holder));
        work.answered();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
