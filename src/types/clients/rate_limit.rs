//! How often something may happen.

use std::fmt;

/// A limit: so many a second in the long run, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many a second there may be in the long run, at least 1.
    pub per_second: u32,
    /// How many there may be at once, at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// Returns the seconds in which a whole burst becomes available again, rounded up.
    #[must_use]
    pub fn window_seconds(self) -> u32 {
        self.burst.div_ceil(self.per_second)
    }
}

/// The kind of a limit: whom it holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// An IPv4 address, or a /64 of IPv6.
    Address,
    /// A user.
    User,
}

impl LimitedBy {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::Address, Self::User];

    /// Returns the name, as it stands behind `limits.` in the configuration, and in figures and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
        }
    }
}

/// As in the configuration.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, burst } = self;
        write!(f, "{{\"per_second\":{per_second},\"burst\":{burst}}}")
    }
}
