//! The sides of a row: who takes part in it, and who is compared with whom.

use super::case::{Beside, Case};
use super::contestant::{Contestant, Contestants};

/// One who takes part in a row.
#[derive(Clone, Debug)]
pub struct Side {
    /// As it is shown.
    pub label: String,
    /// The program to start.
    pub contestant: Contestant,
    /// Connections to it.
    pub connections: usize,
    /// Users that it knows before the measurement; 0 for none.
    pub users: u32,
    /// The places of the sides that it is compared with, each an earlier one.
    pub beside: Vec<usize>,
}

impl Case {
    /// Returns who takes part. Where one is to be compared with guests of which none is there, nobody is compared.
    #[must_use]
    pub fn sides(&self, contestants: &Contestants) -> Vec<Side> {
        let side = |contestant: &Contestant, beside: &[usize]| Side {
            label: contestant.label().to_owned(),
            contestant: contestant.clone(),
            connections: self.connections,
            users: 0,
            beside: beside.to_owned(),
        };
        let with = |mut side: Side, what: String, connections, users| {
            side.label = format!("{}, {what}", side.label);
            (side.connections, side.users) = (connections, users);
            side
        };
        let bare = &Contestant::BareHyper;
        let servers = contestants.servers();
        match self.beside {
            Beside::UsualDesigns => {
                let constant = std::iter::once(bare).chain(contestants.floor());
                let constant: Vec<_> = constant.map(|it| side(it, &[])).collect();
                let constants: Vec<_> = (0..constant.len()).collect();
                let usual = contestants.usual_designs();
                let usual: Vec<_> = usual.map(|it| side(it, &constants)).collect();
                let places = constant.len()..constant.len() + usual.len();
                let places: Vec<_> = places.collect();
                let servers = servers.map(|server| side(server, &places));
                constant.into_iter().chain(usual).chain(servers).collect()
            }
            Beside::Floor => {
                let floor: Vec<_> = contestants.floor().map(|it| side(it, &[0])).collect();
                // Beside the floor first.
                let places: Vec<_> = (0..=floor.len()).rev().collect();
                let servers = servers.map(|server| side(server, &places));
                let first = std::iter::once(side(bare, &[])).chain(floor);
                first.chain(servers).collect()
            }
            Beside::BareHyper => {
                let others = servers.chain(contestants.nginx());
                let others = others.map(|contestant| side(contestant, &[0]));
                std::iter::once(side(bare, &[])).chain(others).collect()
            }
            Beside::BareHyperAtHalfRate | Beside::BareHyperWithSinks => {
                let servers = servers.map(|server| side(server, &[0]));
                std::iter::once(side(bare, &[])).chain(servers).collect()
            }
            Beside::FewerUsers(few, many) => pairs(servers, |contestant, beside| {
                let users = if beside.is_empty() { few } else { many };
                let what = format!("{users} users");
                with(side(contestant, beside), what, self.connections, users)
            }),
            Beside::FewerConnections(few, many) => {
                let all = std::iter::once(bare).chain(servers);
                pairs(all, |contestant, beside| {
                    let connections = if beside.is_empty() { few } else { many };
                    let what = format!("{connections} connections");
                    with(side(contestant, beside), what, connections, 0)
                })
            }
        }
    }
}

/// Everyone twice, the second time beside the first.
fn pairs<'a>(
    contestants: impl Iterator<Item = &'a Contestant>,
    side: impl Fn(&Contestant, &[usize]) -> Side,
) -> Vec<Side> {
    let both = contestants.enumerate();
    both.flat_map(|(place, contestant)| [side(contestant, &[]), side(contestant, &[place * 2])])
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::super::case::{CASES, select};
    use super::super::contestant::Guest;
    use super::*;

    #[test]
    fn every_side_but_a_base_is_compared_with_earlier_ones() {
        let (a, b) = ("a".into(), Some("b".into()));
        let contestants = Contestants::new(a, b, Some("nginx".into()), Guest::value_variants());
        for case in &CASES {
            let sides = case.sides(&contestants);
            for (place, side) in sides.iter().enumerate() {
                let is_earlier = |&beside: &usize| beside < place;
                assert!(side.beside.iter().all(is_earlier), "{}", case.name);
            }
            let is_compared = |side: &Side| !side.beside.is_empty();
            assert!(sides.iter().any(is_compared), "{}", case.name);
        }
        let labels = |name: &str| -> Vec<_> {
            let case = select(&[name.to_owned()]).expect("there is such a row")[0];
            let sides = case.sides(&contestants);
            sides.into_iter().map(|side| side.label).collect()
        };
        assert_eq!(
            labels("sold-out-64"),
            ["bare hyper", "flashsale", "flashsale B", "nginx"]
        );
        let users = labels("flat-users-new");
        assert_eq!(
            users[..2],
            ["flashsale, 1000 users", "flashsale, 1000000 users"]
        );
    }

    #[test]
    fn guests_take_part_where_they_are_wanted_and_in_their_rows() {
        let sides = |name: &str, guests: &[Guest]| -> Vec<_> {
            let contestants = Contestants::new("a".into(), None, None, guests);
            let case = select(&[name.to_owned()]).expect("there is such a row")[0];
            let sides = case.sides(&contestants);
            sides.into_iter().map(|it| (it.label, it.beside)).collect()
        };
        let side = |label: &str, beside: &[usize]| (label.to_owned(), beside.to_owned());
        assert_eq!(
            sides("usual-checkout-64", &[Guest::Floor, Guest::PostgresRow]),
            [
                side("bare hyper", &[]),
                side("floor", &[]),
                side("postgres-row", &[0, 1]),
                side("flashsale", &[2])
            ]
        );
        assert_eq!(
            sides("checkout-disk-64", &[Guest::Floor, Guest::PostgresRow]),
            [
                side("bare hyper", &[]),
                side("floor", &[0]),
                side("flashsale", &[1, 0])
            ]
        );
        assert_eq!(
            sides("checkout-disk-64", &[]),
            [side("bare hyper", &[]), side("flashsale", &[0])]
        );
    }
}
