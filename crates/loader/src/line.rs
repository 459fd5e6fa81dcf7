//! Who gives a named child its code. All who ask for one that is loading stand in line with a callback of their own. The
//! first one's is called; the next one's when that one has gone away, or has had its time. Whose code comes first starts
//! the child. A pure structure: the simulation runs it as it is.

use std::collections::VecDeque;

/// A place in the line.
pub(crate) type Ticket = u64;

/// Those who have asked; `T` tells one of them that it is its turn, or that there is code.
pub(crate) struct Line<T> {
    state: State,
    waiting: VecDeque<(Ticket, T)>,
    /// Those whose turn has come and who have given no code yet, in that order.
    called: Vec<Ticket>,
    /// Whose turn it is: the last of those that were called, unless that one is gone.
    current: Option<Ticket>,
    /// Whose time is being taken.
    timed: Option<Ticket>,
    next: Ticket,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Given,
    Failed,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            state: State::Open,
            waiting: VecDeque::new(),
            called: Vec::new(),
            current: None,
            timed: None,
            next: 0,
        }
    }
}

/// What comes of asking.
pub(crate) enum Joined<T> {
    /// It is its turn at once.
    Turn(Ticket, T),
    Waits(Ticket),
    /// There is code already.
    Given,
    /// The load has failed, or nobody was left to give code: it is to be begun anew.
    Failed(T),
}

/// What comes of one who leaves.
pub(crate) enum Left<T> {
    Nothing,
    /// It is this one's turn now.
    Turn(T),
    /// Nobody is left: the load fails.
    Nobody,
}

impl<T> Line<T> {
    pub(crate) fn join(&mut self, whom: T) -> Joined<T> {
        match self.state {
            State::Given => return Joined::Given,
            State::Failed => return Joined::Failed(whom),
            State::Open => {}
        }
        self.next += 1;
        let ticket = self.next;
        if self.current.is_none() {
            self.call(ticket);
            return Joined::Turn(ticket, whom);
        }
        self.waiting.push_back((ticket, whom));
        Joined::Waits(ticket)
    }

    fn call(&mut self, ticket: Ticket) {
        self.called.push(ticket);
        self.current = Some(ticket);
    }

    fn call_next(&mut self) -> Option<T> {
        let (ticket, whom) = self.waiting.pop_front()?;
        self.call(ticket);
        Some(whom)
    }

    /// One is gone, or needs no child any more.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left<T> {
        if self.state != State::Open {
            return Left::Nothing;
        }
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        self.called.retain(|called| *called != ticket);
        if self.current == Some(ticket) {
            self.current = None;
            if let Some(whom) = self.call_next() {
                return Left::Turn(whom);
            }
        }
        if self.called.is_empty() {
            self.state = State::Failed;
            return Left::Nobody;
        }
        Left::Nothing
    }

    /// Whose time is to be taken from now on: that of the one whose turn it is, once others wait.
    pub(crate) fn take_time(&mut self) -> Option<Ticket> {
        let current = self.current.filter(|_| self.state == State::Open && !self.waiting.is_empty())?;
        (self.timed.replace(current) != Some(current)).then_some(current)
    }

    /// One has had its time: if others wait, it is the next one's turn. What it gives still counts while it is the first.
    pub(crate) fn overdue(&mut self, ticket: Ticket) -> Option<T> {
        if self.timed == Some(ticket) {
            self.timed = None;
        }
        let is_due = self.state == State::Open && self.current == Some(ticket);
        if is_due { self.call_next() } else { None }
    }

    /// One gives code. Those who waited for their turn, to be told; none: somebody was first.
    pub(crate) fn give(&mut self, ticket: Ticket) -> Option<Vec<T>> {
        let first = self.state == State::Open && self.called.contains(&ticket);
        first.then(|| self.close(State::Given))
    }

    /// The callback of one has failed. Those who waited for their turn: with them, the load fails. None: it was not the
    /// one's turn any more, and others are at it.
    pub(crate) fn fail(&mut self, ticket: Ticket) -> Option<Vec<T>> {
        if self.state != State::Open {
            return None;
        }
        self.called.retain(|called| *called != ticket);
        let decides = self.current == Some(ticket) || self.called.is_empty();
        decides.then(|| self.close(State::Failed))
    }

    fn close(&mut self, state: State) -> Vec<T> {
        self.state = state;
        self.current = None;
        self.called.clear();
        self.waiting.drain(..).map(|(_, whom)| whom).collect()
    }
}
