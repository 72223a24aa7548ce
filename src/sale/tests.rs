//! Tests of files that the models compile, too: there no test may run outside of a model.

use crate::env::{Entropy, SeededEntropy};
use crate::sale::buyers::BuyerRef;
use crate::sale::codes::Codes;

#[test]
fn codes_lead_to_their_buyers() {
    let (codes, entropy) = (Codes::default(), SeededEntropy::new(7));
    let secrets: Vec<u128> = (0..10_000).map(|_| entropy.bits_128()).collect();
    for (number, &secret) in secrets.iter().enumerate() {
        assert_eq!(codes.find(secret), None);
        assert!(codes.insert(secret, BuyerRef(number as u32)));
    }
    for (number, &secret) in secrets.iter().enumerate() {
        assert_eq!(codes.find(secret), Some(BuyerRef(number as u32)));
        assert!(!codes.insert(secret, BuyerRef(0)));
    }
}

#[test]
fn a_half_belongs_to_one_code_only() {
    let codes = Codes::default();
    assert!(codes.insert(5, BuyerRef(1)));
    assert!(!codes.insert(5 | 1 << 100, BuyerRef(2)));
    assert_eq!(
        codes.find(5 | 1 << 100),
        Some(BuyerRef(1)),
        "for the buyer to refuse"
    );
}
