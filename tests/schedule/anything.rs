//! Whatever happens in whatever order.

use flashsale::sale::{CheckoutOutcome, SaleStatus};
use proptest::prelude::*;

use crate::schedule::world::{World, at, rotation};

#[derive(Clone, Debug)]
enum Step {
    Checkout(u8, u8),
    Purchase(u8),
    /// In milliseconds.
    Pass(i64),
    /// By seconds, of the wall clock only.
    Jump(i64),
    /// For seconds, with another length of the interval.
    Restart(i64, bool, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop_oneof![0_i64..5, 0_i64..400, 3_500_i64..90_000];
    prop_oneof![
        6 => (any::<u8>(), 0_u8..12).prop_map(|(user, item)| Step::Checkout(user % 6, item)),
        4 => any::<u8>().prop_map(Step::Purchase),
        4 => prop_oneof![0_i64..2_000, 0_i64..400_000, 0_i64..9_000_000].prop_map(Step::Pass),
        1 => (-90_000_i64..90_000).prop_map(Step::Jump),
        2 => (seconds, any::<bool>(), prop::sample::select(vec![600, 1_800, 3_600]))
            .prop_map(|(seconds, gently, interval)| Step::Restart(seconds, gently, interval)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// After every look nothing that is due is left, and all units are somewhere; a sale is on, unless the
    /// clock has just jumped out of one that was closed; and what is written down is believed by the next
    /// start.
    #[test]
    fn nothing_is_lost_or_done_twice(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::start(100, rotation(3_600, 90));
        let mut codes = Vec::new();
        let (mut jumped, mut restarted) = (false, false);
        for step in steps {
            match step {
                Step::Checkout(user, item) => {
                    let Some(sale) = world.active() else { continue };
                    let outcome = world.checkout(&format!("user {user}"), &format!("ITM-{sale}-{item}"));
                    if let CheckoutOutcome::Accepted { code, .. } = outcome {
                        codes.push(code);
                    }
                }
                Step::Purchase(choice) => {
                    if let Some(place) = usize::from(choice).checked_rem(codes.len()) {
                        let _ = world.purchase(codes[place]);
                    }
                }
                Step::Pass(millis) => {
                    world.clock.advance_us(millis * 1_000);
                    world.agenda.run_due();
                }
                Step::Jump(seconds) => {
                    let now = world.engine.clock().now();
                    // The calendar begins in 1970.
                    let wall = now.0 + seconds * 1_000_000;
                    world.jump_to(flashsale::types::Timestamp(wall.max(at(-1_000_000).0)));
                    jumped = true;
                }
                Step::Restart(seconds, gently, interval) => {
                    world.rotation = rotation(interval, 90);
                    world = world.restart_after(seconds, gently);
                    // What has ended is closed when the clock has proved steady.
                    restarted = true;
                }
            }
            world.check();
            if !jumped {
                let now = world.engine.clock().now();
                let active = world.engine.sales().into_iter().filter(|sale| sale.status(now) == SaleStatus::Active);
                prop_assert_eq!(active.count(), 1, "one sale is on");
                let mut open = world.engine.open_sales().into_iter();
                prop_assert!(restarted || open.all(|sale| sale.terms().ended_at > now));
            }
        }
        let records = world.records();
        let mut closed: Vec<_> = records.iter().filter(|word| word.starts_with("closed")).collect();
        let before = closed.len();
        closed.sort();
        closed.dedup();
        prop_assert_eq!(closed.len(), before, "no sale is closed twice");
        world.restart_after(0, false).check();
    }
}
