//! The part of a core that answers to queries of figures may take.

use crate::limits::{CPU_BUDGET_DIVISOR, CPU_BUDGET_US_MAX, PAUSE_MS_MAX};

/// A token bucket of CPU time: it fills as time passes, up to a bound, and answers spend it. An occasional query is
/// answered at once, and a flood of queries waits. Only CPU time is spent: on a busy machine an answer takes
/// longer, but does not cost more.
#[derive(Debug)]
pub(super) struct CpuBudget {
    left_us: i64,
    at_us: u64,
}

impl CpuBudget {
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            left_us: CPU_BUDGET_US_MAX.cast_signed(),
            at_us: now_us,
        }
    }

    /// Spends the `cpu_us` of the answers given until `now_us`, and returns how long to pause before the next
    /// answer, in microseconds.
    pub(super) fn spend(&mut self, cpu_us: u64, now_us: u64) -> u64 {
        let refill_us = now_us.saturating_sub(self.at_us) / CPU_BUDGET_DIVISOR;
        self.at_us = now_us;
        let saved_us = self.left_us.saturating_add_unsigned(refill_us);
        self.left_us = saved_us
            .min(CPU_BUDGET_US_MAX.cast_signed())
            .saturating_sub_unsigned(cpu_us);
        let missing_us = self.left_us.min(0).unsigned_abs();
        missing_us
            .saturating_mul(CPU_BUDGET_DIVISOR)
            .min(PAUSE_MS_MAX * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occasional_queries_do_not_wait() {
        let mut cpu_budget = CpuBudget::new(0);
        // A tenth of the time, for ten minutes.
        let pauses = (1..=60_000).map(|n| cpu_budget.spend(1_000, n * 10_000));
        assert_eq!(pauses.sum::<u64>(), 0);
    }

    #[test]
    fn a_flood_of_queries_gets_its_part_and_no_more() {
        let mut cpu_budget = CpuBudget::new(0);
        let (mut now_us, mut answered_us) = (0, 0);
        while now_us < 60_000_000 {
            let pause_us = cpu_budget.spend(300, now_us + 300);
            now_us += 300 + pause_us;
            answered_us += 300;
        }
        let most_us = now_us / CPU_BUDGET_DIVISOR + CPU_BUDGET_US_MAX + 300;
        assert!(answered_us <= most_us, "{answered_us} of {now_us}");
        assert!(
            answered_us >= now_us / CPU_BUDGET_DIVISOR - 300,
            "{answered_us}"
        );
    }

    #[test]
    fn no_answer_costs_so_much_that_the_next_is_far() {
        let mut cpu_budget = CpuBudget::new(0);
        assert_eq!(cpu_budget.spend(u64::MAX, 1), PAUSE_MS_MAX * 1000);
    }
}
