//! What can happen to an engine.

use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One event. Numbers choose among what there is at the time.
#[derive(Clone, Debug)]
pub enum Step {
    Checkout {
        user: usize,
        item: usize,
        quantity: u32,
        sale: Option<u32>,
        key: Option<usize>,
    },
    /// A checkout that was answered under its key, once more.
    Again(usize),
    Purchase {
        code: usize,
        key: Option<usize>,
    },
    Pay(usize),
    Confirm {
        code: usize,
        reference: usize,
        late: bool,
    },
    Look(usize),
    GiveBack {
        code: usize,
        /// The place of a line in the checkout, and units of it; `None` for all.
        line: Option<(usize, Option<u32>)>,
    },
    Wait(i64),
    Close(u32),
    Pause(u32),
    Resume(u32),
    /// By so many seconds, which may be none or fewer.
    Extend(u32, i64),
    ChangeStock {
        sale: u32,
        item: usize,
        units: i64,
        reference: usize,
    },
    Cancel {
        code: usize,
        /// The place of a line in the checkout, and units of it; `None` for all.
        line: Option<(usize, Option<u32>)>,
        reference: usize,
        restock: bool,
    },
    CloseEnded,
    Release,
    /// Ended sales leave memory; with a snapshot they stay out of it after a crash.
    PutAway {
        snapshot: bool,
    },
    Crash {
        gently: bool,
        seed: u64,
    },
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![14 => Just(1), 5 => Just(2), 1 => Just(0), 1 => Just(9)];
    let sale = prop_oneof![12 => Just(None), 1 => (1_u32..4).prop_map(Some)];
    // Few, so that they come again.
    let key = prop_oneof![3 => Just(None), 2 => (0_usize..3).prop_map(Some)];
    let checkout = (0_usize..8, 0_usize..10, quantity, sale, key);
    let checkout = checkout.prop_map(|(user, item, quantity, sale, key)| Step::Checkout {
        user,
        item,
        quantity,
        sale,
        key,
    });
    let purchase =
        (0_usize..30, option::of(0_usize..2)).prop_map(|(code, key)| Step::Purchase { code, key });
    let line = option::of((0_usize..3, option::of(0_u32..3)));
    let give_back = (0_usize..30, line).prop_map(|(code, line)| Step::GiveBack { code, line });
    // A reference mostly comes with the same change, so that some are asked for again.
    let change_stock = (1_u32..4, 0_usize..20, 0_usize..4);
    let change_stock = change_stock.prop_map(|(sale, reference, twist)| Step::ChangeStock {
        sale,
        item: reference % 9 + usize::from(twist == 0),
        units: [-3, -1, 1, 2][reference % 4],
        reference,
    });
    let line = option::of((0_usize..3, option::of(0_u32..3)));
    let cancel = (16_usize..30, line, 0_usize..3, any::<bool>());
    let cancel = cancel.prop_map(|(code, line, reference, restock)| Step::Cancel {
        code,
        line,
        reference,
        restock,
    });
    let confirm = (0_usize..30, 0_usize..2, any::<bool>());
    let confirm = confirm.prop_map(|(code, reference, late)| Step::Confirm {
        code,
        reference,
        late,
    });
    let crash =
        (any::<bool>(), any::<u64>()).prop_map(|(gently, seed)| Step::Crash { gently, seed });
    prop_oneof![
        120 => checkout,
        60 => purchase,
        8 => any::<usize>().prop_map(Step::Again),
        8 => (0_usize..30).prop_map(Step::Look),
        24 => (0_usize..30).prop_map(Step::Pay),
        24 => confirm,
        20 => give_back,
        10 => (1_i64..20).prop_map(Step::Wait),
        1 => (60_i64..100).prop_map(Step::Wait),
        1 => (1_u32..4).prop_map(Step::Close),
        3 => (1_u32..4).prop_map(Step::Pause),
        6 => (1_u32..4).prop_map(Step::Resume),
        3 => (1_u32..4, -1_i64..12).prop_map(|(sale, seconds)| Step::Extend(sale, seconds)),
        14 => change_stock,
        20 => cancel,
        2 => Just(Step::CloseEnded),
        4 => Just(Step::Release),
        3 => any::<bool>().prop_map(|snapshot| Step::PutAway { snapshot }),
        3 => crash,
    ]
}
