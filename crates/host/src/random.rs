//! Randomness fit for keys: the source behind `crypto.getRandomValues`, UUIDs and `Math.random` seeds.

/// A source of cryptographically secure random bytes.
pub trait Random: Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// There is no error: an implementation that cannot deliver must panic, because a caller that went on
    /// with predictable bytes would be worse than none.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's random source (`getrandom(2)` on Linux).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// If the operating system has no random source, as in a sandbox that forbids the system call.
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system's random source failed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_byte_and_differently() {
        let (mut first, mut second) = ([0u8; 64], [0u8; 64]);
        SystemRandom.fill(&mut first);
        SystemRandom.fill(&mut second);
        assert_ne!(first, second);
        // 32 zero bytes at the end by chance: one in 2^256.
        assert_ne!(first[32..], [0u8; 32]);
    }
}
