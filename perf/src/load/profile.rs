//! Ready-made plans.

use clap::ValueEnum;

use super::plan::{Arrivals, Shape, Workload};

/// A ready-made plan; every flag that is given goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// 100 buyers a second for 10 s
    Light,
    /// 1000 buyers a second for 30 s
    Medium,
    /// 5000 buyers a second for 30 s
    Heavy,
    /// 256 connections that never pause, for 30 s
    Stress,
    /// A sale that opens: all kinds of users, 3000 a second at first and a tenth of it later, for 60 s
    Realistic,
}

/// The settings of a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) workload: Workload,
    /// Arrivals a second; `None` for a closed loop.
    pub(super) rate: Option<f64>,
    pub(super) arrivals: Arrivals,
    pub(super) shape: Shape,
    pub(super) seconds: u32,
    pub(super) connections: usize,
}

/// Without a profile.
const PLAIN: Settings = Settings {
    workload: Workload::Checkout,
    rate: None,
    arrivals: Arrivals::Uniform,
    shape: Shape::Steady,
    seconds: 10,
    connections: 64,
};

impl Settings {
    /// Returns the settings of a profile, or those without one.
    pub(super) fn of(profile: Option<Profile>) -> Self {
        let crowd = |rate, seconds, connections| Settings {
            workload: Workload::Buy,
            rate: Some(rate),
            arrivals: Arrivals::Poisson,
            seconds,
            connections,
            ..PLAIN
        };
        match profile {
            None => PLAIN,
            Some(Profile::Light) => crowd(100.0, 10, 16),
            Some(Profile::Medium) => crowd(1000.0, 30, 64),
            Some(Profile::Heavy) => crowd(5000.0, 30, 256),
            Some(Profile::Stress) => Settings {
                workload: Workload::Buy,
                seconds: 30,
                connections: 256,
                ..PLAIN
            },
            Some(Profile::Realistic) => Settings {
                workload: Workload::Realistic,
                shape: Shape::Spike,
                ..crowd(3000.0, 60, 256)
            },
        }
    }
}
