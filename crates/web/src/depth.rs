//! How deep the running code is in calls that call each other.

use atoll_isolate::v8;

use crate::context;

/// Invocations and calls that led to the running code, one inside or because of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Invocations: each started by the one before.
    pub invocations: u32,
    /// Calls on live objects within the last of them, each made by the one before.
    pub calls: u32,
}

/// Calls on live objects that may lead to each other. Two contexts that call each other without end have no other limit
/// but their CPU time.
pub const MAX_CALLS: u32 = 10_000;

const BITS: u32 = 14;

impl Depth {
    /// That of an invocation that the running code starts.
    pub fn of_invocation(scope: &mut v8::PinScope<'_, '_>) -> Self {
        Self { invocations: context::depth(scope).invocations + 1, calls: 0 }
    }

    /// That of a call on a live object that the running code makes. None: it would be too deep.
    pub fn of_call(scope: &mut v8::PinScope<'_, '_>) -> Option<Self> {
        let Self { invocations, calls } = context::depth(scope);
        (calls < MAX_CALLS).then_some(Self { invocations, calls: calls + 1 })
    }

    /// That of work in a context which was opened at `own`, for code at this depth.
    pub(crate) fn within(self, own: Self) -> Self {
        Self { invocations: self.invocations.max(own.invocations), calls: self.calls.max(own.calls) }
    }

    /// As a number below 2 ** 21, together with a context's number small enough to be exact in a double.
    pub(crate) fn pack(self) -> u64 {
        let invocations = self.invocations.min(127);
        u64::from(invocations << BITS | self.calls.min((1 << BITS) - 1))
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        Self { invocations: (packed >> BITS) as u32, calls: (packed & ((1 << BITS) - 1)) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_survive_packing_up_to_their_limits() {
        for depth in [
            Depth::default(),
            Depth { invocations: 1, calls: 0 },
            Depth { invocations: 33, calls: MAX_CALLS },
            Depth { invocations: 127, calls: 1 },
        ] {
            assert_eq!(Depth::unpack(depth.pack()), depth);
            assert!(depth.pack() < 1 << 21);
        }
    }
}
