//! What clients asked for and were told, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::client::Answer;

/// One thing that a client did, with what it learned.
pub enum Event {
    /// It asked for an item. `code` is the checkout's, or unknown because no answer came.
    Chosen {
        user: String,
        item: String,
        code: Option<String>,
    },
    /// It purchased. `answer` is missing when none came.
    Purchased {
        code: String,
        key: Option<String>,
        answer: Option<Answer>,
    },
}

/// The first answer to a purchase, which decides what its code has bought for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub status: u16,
    pub body: String,
    /// Under which it can be asked for again, when that is known.
    pub key: Option<String>,
    /// Items that were sold.
    pub sold: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Outcome {
    fn new(body: &str, key: Option<&str>) -> Self {
        let json: Value = serde_json::from_str(body).expect("JSON");
        let (mut sold, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for line in json["purchased_items"].as_array().expect("a list") {
            let id = line["id"].as_str().expect("an id").to_owned();
            let set = match line["sold"].as_bool().expect("sold or not") {
                true => &mut sold,
                false => &mut gone,
            };
            assert!(set.insert(id), "an item twice in {body}");
        }
        assert!(sold.is_disjoint(&gone), "an item twice in {body}");
        assert_eq!(json["total_purchased"], sold.len(), "{body}");
        assert_eq!(json["failed_count"], gone.len(), "{body}");
        let status = if sold.is_empty() {
            assert_eq!(json["error"], "all_items_sold", "{body}");
            409
        } else {
            assert_eq!(json["success"], true, "{body}");
            200
        };
        Self {
            status,
            body: body.to_owned(),
            key: key.map(str::to_owned),
            sold,
            gone,
        }
    }

    fn contains(&self, item: &str) -> bool {
        self.sold.contains(item) || self.gone.contains(item)
    }

    /// Whether `answer` is this one again, byte for byte.
    pub fn is_repeated_by(&self, answer: &Answer) -> bool {
        (answer.status, answer.text()) == (self.status, &*self.body)
    }

    /// Whether `answer` refuses to do it again and says what it was.
    pub fn is_refused_by(&self, answer: &Answer) -> bool {
        answer.status == 409 && result_of(answer) == Some(&*self.body)
    }
}

/// The first answer's body as an `already_processed` holds it.
fn result_of(answer: &Answer) -> Option<&str> {
    let text = answer.text();
    let is_it = answer.json()["error"] == "already_processed";
    let (_, result) = text.split_once(",\"result\":").filter(|_| is_it)?;
    result.strip_suffix('}')
}

/// A checkout that somebody was told the code of.
pub struct Basket {
    pub user: String,
    /// What was accepted into it.
    pub items: BTreeSet<String>,
    /// Keys of purchases that were not answered.
    pub unanswered: Vec<Option<String>>,
    pub outcome: Option<Outcome>,
}

/// All that is known of a sale from the answers of the server.
#[derive(Default)]
pub struct History {
    pub baskets: HashMap<String, Basket>,
    /// Items that were asked for without an answer, by user.
    unanswered: HashMap<String, Vec<String>>,
}

impl History {
    /// Takes in what clients did. Answers to the same code must agree.
    pub fn add(&mut self, mut events: Vec<Event>) {
        // A code may be purchased by another client than the one that was told it, and be refused
        // to one client because another one was faster.
        let order = |event: &Event| match event {
            Event::Chosen { .. } => 0,
            Event::Purchased { answer, .. } => {
                1 + u8::from(answer.as_ref().is_some_and(|a| result_of(a).is_some()))
            }
        };
        events.sort_by_key(order);
        for event in events {
            match event {
                Event::Chosen { user, item, code } => self.add_choice(user, item, code),
                Event::Purchased { code, key, answer } => self.add_purchase(&code, key, answer),
            }
        }
    }

    fn add_choice(&mut self, user: String, item: String, code: Option<String>) {
        let Some(code) = code else {
            return self.unanswered.entry(user).or_default().push(item);
        };
        let basket = self.baskets.entry(code).or_insert_with(|| Basket {
            user: user.clone(),
            items: BTreeSet::new(),
            unanswered: Vec::new(),
            outcome: None,
        });
        assert_eq!(basket.user, user, "a code of two users");
        assert!(basket.items.insert(item), "an item chosen twice");
    }

    fn add_purchase(&mut self, code: &str, key: Option<String>, answer: Option<Answer>) {
        let basket = self.baskets.get_mut(code).expect("a code that was told");
        let Some(answer) = answer else {
            return basket.unanswered.push(key);
        };
        let (text, result) = (answer.text(), result_of(&answer));
        match (&basket.outcome, result) {
            (Some(outcome), Some(_)) => assert!(
                outcome.is_refused_by(&answer),
                "{code} was {outcome:?}, and is {text}"
            ),
            (Some(outcome), None) => assert!(
                outcome.key.is_some() && outcome.key == key && outcome.is_repeated_by(&answer),
                "{code} was {outcome:?}, and with {key:?} is {text}"
            ),
            (None, Some(result)) => basket.outcome = Some(Outcome::new(result, None)),
            (None, None) => {
                let outcome = Outcome::new(text, key.as_deref());
                assert_eq!(outcome.status, answer.status, "{text}");
                basket.outcome = Some(outcome);
            }
        }
    }

    /// Units sold by the purchases whose outcome is known.
    pub fn sold(&self) -> u64 {
        let outcomes = self
            .baskets
            .values()
            .filter_map(|basket| basket.outcome.as_ref());
        outcomes.map(|outcome| outcome.sold.len() as u64).sum()
    }

    /// Codes of purchases that were not answered and of which nothing is known since.
    pub fn unresolved(&self) -> Vec<String> {
        let is_unresolved =
            |basket: &Basket| basket.outcome.is_none() && !basket.unanswered.is_empty();
        self.codes(is_unresolved)
    }

    /// Codes of the baskets that `wanted` picks, in an order that depends on nothing else.
    pub fn codes(&self, wanted: impl Fn(&Basket) -> bool) -> Vec<String> {
        let picked = self.baskets.iter().filter(|(_, basket)| wanted(basket));
        let mut codes: Vec<_> = picked.map(|(code, _)| code.clone()).collect();
        codes.sort();
        codes
    }

    /// Panics unless every outcome is one that an exact sale can have.
    pub fn check(&self, units_per_user_max: usize) {
        let mut sold_items = HashSet::new();
        let mut bought: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unanswered = self.unanswered.clone();
        for (code, basket) in &self.baskets {
            let Some(outcome) = &basket.outcome else {
                continue;
            };
            for item in &basket.items {
                assert!(outcome.contains(item), "{item} is lost from {code}");
            }
            for item in outcome.sold.union(&outcome.gone) {
                if !basket.items.contains(item) {
                    let possible = unanswered.entry(basket.user.clone()).or_default();
                    let place = possible.iter().position(|asked| asked == item);
                    let place = place.unwrap_or_else(|| panic!("nobody put {item} into {code}"));
                    possible.swap_remove(place);
                }
            }
            for item in &outcome.sold {
                assert!(sold_items.insert(item), "{item} is sold twice");
            }
            *bought.entry(&basket.user).or_default() += outcome.sold.len();
        }
        for (user, units) in bought {
            assert!(units <= units_per_user_max, "{user} bought {units}");
        }
    }
}
