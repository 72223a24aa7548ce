//! The map of the parts: change it together with the map in the crate's documentation.

/// Parts that everything may use. They use each other and nothing else.
const LEAVES: &[&str] = &[
    "types",
    "limits",
    "env",
    "generated",
    "json_members",
    "record",
    "planted",
    "telemetry",
    "sync",
    "wheel",
];

/// The other parts, with what each may use besides itself and the leaves.
const PARTS: &[(&str, &[&str])] = &[
    ("auth", &[]),
    ("config", &[]),
    ("journal", &[]),
    ("replication", &["journal"]),
    ("sale", &["journal"]),
    ("schedule", &["sale"]),
    ("live", &["sale"]),
    ("limiter", &[]),
    ("events", &["sale", "journal"]),
    (
        "operations",
        &["sale", "schedule", "live", "journal", "replication"],
    ),
    (
        "http",
        &[
            "sale",
            "schedule",
            "live",
            "limiter",
            "operations",
            "events",
            "auth",
        ],
    ),
    ("runtime", &["http"]),
    ("reconcile", &["journal", "events"]),
];

/// Leaves of which a part sees only one module: part, leaf, module.
const NARROWED: &[(&str, &str, &str)] = &[
    // The journal carries bytes and a kind. What they mean is for those above it.
    ("journal", "record", "envelope"),
    ("replication", "record", "envelope"),
];

/// Files that put the parts together, and may use all of them.
const ASSEMBLY: &[&str] = &["lib", "main", "app", "commands", "cli"];

/// What lies outside the crate, with the only parts that may name it.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("hyper", &["http", "runtime"]),
    ("ureq", &["app", "commands", "env", "reconcile"]),
    ("deadpool_postgres", &["reconcile"]),
    ("tokio_postgres", &["reconcile", "replication"]),
    ("redis", &["reconcile"]),
    // Of others it is the module of rustls that has this name.
    ("ring", &["auth", "runtime", "reconcile", "commands", "app"]),
    ("h2", &["replication"]),
    ("prost", &["replication"]),
    ("opentelemetry", &["app", "telemetry"]),
    ("opentelemetry_otlp", &["app"]),
    ("opentelemetry_sdk", &["app"]),
    ("std::fs", &["env", "config"]),
    ("tokio::fs", &["env"]),
    ("rustix::fs", &["env"]),
    ("std::time::Instant", &["env"]),
    ("std::time::SystemTime", &["env"]),
    (
        "tokio::time",
        &["env", "reconcile", "replication", "runtime"],
    ),
    ("getrandom", &["env"]),
];

/// Ends of paths that read the clock under whatever name it was imported. Only `env` may.
const CLOCK_READS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
];

/// The only files of the workspace with code that the compiler cannot check. They say why they may.
pub(crate) const UNCHECKED_FILES: [&str; 3] = [
    "src/env/allocator.rs",
    "src/env/background.rs",
    "src/env/ring_writer.rs",
];

/// The longest source file, in lines.
pub(crate) const FILE_LINES_MAX: usize = 500;

/// Whether `part` may use `other`, which must be on the map.
pub(crate) fn may_use(part: &str, other: &str) -> bool {
    let row = PARTS.iter().find(|(name, _)| *name == part);
    let on_map = row.is_some() || LEAVES.contains(&part);
    ASSEMBLY.contains(&part)
        || on_map && (other == part || LEAVES.contains(&other))
        || row.is_some_and(|(_, others)| others.contains(&other))
}

/// Whether `part` may see what `path`, from the crate's root, leads to, in a leaf that it may use.
pub(crate) fn may_see(part: &str, path: &[String]) -> bool {
    let row = NARROWED
        .iter()
        .find(|(name, leaf, _)| *name == part && path.first().is_some_and(|first| first == leaf));
    row.is_none_or(|(_, _, module)| path.get(1).is_some_and(|second| second == module))
}

/// Whether `part` may name `path`, which leads out of the crate.
pub(crate) fn may_name(part: &str, path: &str) -> bool {
    // No path starts with a NUL, so only a glob names what lies below it.
    let around = path.strip_suffix('*').unwrap_or("\0");
    let owned = OUTSIDE.iter().all(|(outside, owners)| {
        let rest = path.strip_prefix(outside);
        let is_named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        !(is_named || outside.starts_with(around)) || owners.contains(&part)
    });
    let reads_clock = CLOCK_READS.iter().any(|end| path.ends_with(end));
    owned && (!reads_clock || part == "env")
}
