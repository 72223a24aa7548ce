//! Every bound of the server, in one place, with the relations between them asserted when it is
//! compiled. What is over a bound gets a clear error; nothing is cut off silently.

mod auth;
mod clients;
mod events;
mod payments;

pub use self::auth::*;
pub use self::clients::*;
pub use self::events::*;
pub use self::payments::*;

/// Longest user or item id, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 128;
/// Most bytes of a checkout's code in a request. No longer one is looked for.
pub const CODE_BYTES_MAX: usize = 128;
/// Longest item name, in bytes of UTF-8.
pub const ITEM_NAME_BYTES_MAX: usize = 256;
/// Longest picture address, in bytes of UTF-8.
pub const IMAGE_URL_BYTES_MAX: usize = 1024;
/// Longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Answers to checkouts with an `Idempotency-Key` that are kept for one user of a sale, beyond the limit per
/// user of the sale: those of an open checkout are always among them.
pub const CHECKOUT_KEYS_KEPT: u32 = 16;

/// Longest reference of a shop, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 255;
/// Most changes of the stock of one sale's items. Each is kept, so that it is made once.
pub const STOCK_CHANGES_MAX: usize = 10_000;

/// Most items in one sale.
pub const SALE_ITEMS_MAX: u32 = 1_000_000;
/// Most units of one item.
pub const ITEM_STOCK_MAX: u64 = 1 << 32;
/// Most sales that are open at the same time, those that are being created included: an item without
/// a generated id is looked for in each of them.
pub const OPEN_SALES_MAX: usize = 1_000;
/// Bytes of a new sale's items that are on their way to the disk at once. Buyers of other sales share
/// their commits with these.
pub const ANNOUNCED_BYTES: usize = 64 * 1024;
/// Milliseconds between two pieces of a new sale's items, which the buyers have the disk for.
pub const ANNOUNCE_PAUSE_MS: u64 = 1;
/// Seconds that the creation of a sale waits for the journal to take the next piece.
pub const ANNOUNCE_SECONDS: u64 = 30;
/// Highest limit per user that a sale may have, in units; also the most lines of a checkout.
pub const ITEMS_PER_USER_MAX: u32 = 1_000;
/// Longest sale, in seconds (a year).
pub const SALE_SECONDS_MAX: u32 = 31_536_000;
/// Longest hold, in seconds (a day).
pub const HOLD_SECONDS_MAX: u32 = 86_400;
/// Most users with a checkout in one sale. A stock-1 item names its owner in 31 bits.
pub const BUYERS_PER_SALE_MAX: u32 = (1 << 31) - 2;

/// Locks that the buyers of one sale are spread over.
pub const BUYER_SHARDS: usize = 64;
/// Locks that the codes of one sale are spread over.
pub const CODE_SHARDS: usize = 64;
/// Shards of a counter. More threads than this share shards.
pub const STOCK_SHARDS_MAX: usize = 16;
/// Units from which on an item is worth several shards: fewer are sold before sharing them out pays.
pub const SHARDED_STOCK_MIN: u64 = 1_000;
/// Most items of a sale that are worth several shards each: among more of them, buyers rarely meet.
pub const SHARDED_ITEMS_MAX: usize = 1_000;

/// Longest encoded journal record, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Most items in one journal record of an explicit catalogue.
pub const ITEMS_PER_RECORD_MAX: usize = 40;
/// Bytes that may wait for the committer before new work is refused as overload.
pub const PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of records that may wait for the replicated log before new work is refused.
pub const OUTBOX_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of records in one frame of the replicated log, unless a single batch has more.
pub const LOG_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Milliseconds for which what a leader knows may be told without a sign from the replicated log: shorter than any time
/// after which another one may take over.
pub const LEADER_FRESH_MS: u64 = 2_000;
/// Shortest time without a sign from the leader after which a standby takes over, in milliseconds.
pub const TAKEOVER_MS_MIN: u32 = 2_500;
/// Longest such time, in milliseconds.
pub const TAKEOVER_MS_MAX: u32 = 600_000;
/// Signs of a leader in the time after which a standby takes over, at least.
pub const BEATS_PER_TAKEOVER: u32 = 4;
/// Seconds that one question to the replicated log may take before its outcome counts as unknown.
pub const LOG_ANSWER_SECONDS: u64 = 10;
/// Bytes of frames that a standby reads from the replicated log at once, about.
pub const LOG_READ_BYTES: usize = 4 * 1024 * 1024;
/// Seconds between two times that the place in the replicated log is noted beside the journal, while it moves. A start knows for
/// certain that the log had what is before it, and reads what came since.
pub const LOG_MARK_SECONDS: u64 = 1;
/// Different errors of the replicated log that are told apart from those that were logged before.
pub const COMPLAINTS_MAX: usize = 16;
/// Times in a row that a standby asks again for what does not fit its journal before it starts anew: a pooler before the database may have shown it
/// two machines as one.
pub const LOG_MISMATCHES_MAX: u32 = 3;
/// Records of the replicated log that are kept for servers that are behind.
pub const LOG_RECORDS_KEPT: u64 = 10_000_000;
/// Records of a replicated log in etcd that are kept for servers that are behind: a few hundred megabytes, of a quota of two gigabytes.
pub const ETCD_RECORDS_KEPT: u64 = 2_000_000;
/// Most bytes of records in one transaction of etcd, which takes 1.5 MiB unless it is told otherwise. What is longer goes in parts.
pub const ETCD_PART_BYTES: usize = 1024 * 1024;
/// Most frames that are read from etcd at once: it cannot be told how many bytes are wanted.
pub const ETCD_PAGE_FRAMES_MAX: i64 = 64;
/// Bytes of an answer of etcd that may be on their way before they are taken.
pub const ETCD_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Longest answer of etcd, in bytes.
pub const ETCD_ANSWER_BYTES_MAX: usize =
    (ETCD_PAGE_FRAMES_MAX as usize + 1) * (ETCD_PART_BYTES + 4096);
/// Most frames that one trim removes from etcd.
pub const ETCD_TRIM_FRAMES: i64 = 2_000;
/// Times that the log is trimmed between two compactions: a leader trims it with each mark. etcd reads all its keys for one, a thousand at a time, with a
/// pause and a sync behind each thousand.
pub const ETCD_COMPACT_TRIMS: u32 = 300;
/// Changes of an etcd after which a compaction is worth its work.
pub const ETCD_COMPACT_REVISIONS: i64 = 10_000;
/// Most frames that are read at once from a log in Postgres, of which those are taken that have room.
pub const POSTGRES_PAGE_FRAMES_MAX: i64 = 1_000;
/// Frames that are removed at once from a log in Postgres, more than come in a second.
pub const POSTGRES_TRIM_FRAMES: i64 = 2_000;
/// Milliseconds in which a member of etcd has to accept a connection before the next one is tried.
pub const ETCD_CONNECT_MS: u64 = 1_000;
/// Milliseconds in which a member of etcd has to answer before the outcome counts as unknown and the next one is asked. An election takes one to two
/// seconds, and what was on its way to the old leader meanwhile is lost.
pub const ETCD_ANSWER_MS: u64 = 2_000;
/// Longest name of a replicated log, in bytes.
pub const LOG_NAME_BYTES_MAX: usize = 63;
/// Threads that may append to a journal at the same time. Each may overshoot
/// [`PENDING_BYTES_MAX`] by one record.
pub const APPENDERS_MAX: usize = 272;
/// The longest time that the journal is kept unless it is kept for ever, in hours (ten years).
pub const RETAIN_HOURS_MAX: u64 = 10 * 366 * 24;
/// Smallest segment, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Largest segment, in bytes.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Seconds between two looks for ended sales that may leave memory, and for files that are no longer
/// needed.
pub const HOUSEKEEPING_SECONDS: u64 = 5;
/// Ended sales that leave memory together.
pub const PUT_AWAY_SALES_MAX: usize = 64;
/// Ended sales that may wait to be loaded.
pub const LOADS_WAITING_MAX: usize = 64;
/// Memory of ended sales that were loaded again and are kept for the next who asks, in bytes. The one that
/// was asked for last is kept in any case.
pub const LOADED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Seconds after which such a sale may leave memory when nobody has asked for it; it does within as many
/// again.
pub const LOADED_IDLE_SECONDS: u32 = 60;
/// By how much threads that nobody waits for, or few, step back behind the threads that sell, in steps of `nice`. Not by all 19: on
/// a machine without an idle moment a thread gets a hundredth of a processor then, and a snapshot would never catch up with what is sold.
pub const BACKGROUND_NICE: i32 = 10;
/// Bytes of a file that are read or written in the background before the next pause.
pub const PACED_PIECE_BYTES: usize = 64 * 1024;
/// The pause behind such a piece while records wait to be committed, in times of what the piece took.
pub const PACED_PAUSE_RATIO: u32 = 10;
/// The longest such pause, in milliseconds. A machine without an idle moment lets a piece wait for as long; what is written then still grows
/// as fast as a journal.
pub const PACED_PAUSE_MS_MAX: u64 = 5;
/// All pauses of one work in the background (a snapshot, the files of some sales), in seconds.
pub const PACED_SECONDS_MAX: u64 = 300;
/// All pauses while a segment is prepared, in milliseconds. What can wait is not recorded until the next segment is ready.
pub const PACED_PREPARE_MS_MAX: u64 = 2_000;
/// Longest that an ended sale may be kept in memory, in seconds (a year).
pub const KEEP_ENDED_SECONDS_MAX: u32 = 31_536_000;
/// Sealed journal bytes after which a new snapshot is worth its work, at least. Less than a segment has by
/// default, so that a start reads little more than two of them.
pub const SNAPSHOT_EVERY_BYTES: u64 = 48 * 1024 * 1024;

/// Most workers, one per core.
pub const WORKERS_MAX: usize = 256;
/// Most open connections of one worker.
pub const CONNECTIONS_PER_WORKER_MAX: usize = 16_384;
/// Connections of one peer, over all workers, unless the configuration says otherwise. Many buyers may
/// come from behind one address.
pub const CONNECTIONS_PER_PEER_DEFAULT: u32 = 4_096;
/// The highest limit of them that can be set.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 1_000_000;
/// Refused peers that are counted one by one between two lines of the log.
pub const REFUSED_PEERS_COUNTED_MAX: usize = 64;
/// Locks that the counts of peers are spread over.
pub const PEER_SHARDS: usize = 64;
/// Open files below which the start warns that hardly anybody can be served.
pub const OPEN_FILES_FEW: u64 = 1_000;
/// Open files that are kept for the journal, the log and the runtimes.
pub const RESERVED_FILES: u64 = 256;
/// Connections that the kernel may queue for one listener.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Read buffer of a connection, in bytes: the longest head (request line and headers).
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a head's fields that a connection in use remembers, to compare those of the next head with.
pub const KNOWN_FIELDS_BYTES_MAX: usize = 1024;
/// Most headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Longest request body outside of administration, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Seconds that a connection may be without a request, unless the configuration says otherwise. More than the
/// 60 s after which most load balancers close theirs: the side that sends requests must be the first to close.
pub const IDLE_SECONDS_DEFAULT: u32 = 90;
/// The longest such time that can be set (a day).
pub const IDLE_SECONDS_MAX: u32 = 86_400;
/// Origins of pages that may be listed.
pub const CORS_ORIGINS_MAX: usize = 64;
/// How long a browser may remember the answer to a preflight, in seconds. Browsers take no more.
pub const PREFLIGHT_SECONDS: u32 = 7200;
/// Seconds that a client may take nothing of what is written to it.
pub const WRITE_SECONDS_MAX: u32 = 60;
/// How long after its last answer a connection keeps its buffers for the next request at most, in seconds.
pub const QUIET_SECONDS: u32 = 1;
/// Seconds from a connection's accept to the end of its TLS handshake.
pub const HANDSHAKE_SECONDS_MAX: u32 = 5;
/// Seconds from a connection's accept, or handshake, to the first byte of its first request.
pub const FIRST_BYTE_SECONDS_MAX: u32 = 10;
/// Seconds from the first byte of a request to the end of its head.
pub const HEAD_SECONDS_MAX: u32 = 5;
/// Seconds for a request's body to arrive.
pub const BODY_SECONDS_MAX: u32 = 10;
/// Longest request body of administration, in bytes: the longest list of items, with long texts.
pub const ADMIN_BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most commas and colons of such a body: the longest list of items needs 10 for each of them, and its texts may have
/// a few more. The parser takes 36 bytes of memory for each value, also where it is a single digit.
pub const ADMIN_SEPARATORS_MAX: usize = 12 * SALE_ITEMS_MAX as usize;
/// Memory that the creation of a sale from the longest of these bodies takes for as long as it lasts, in bytes.
pub const ADMIN_MEMORY_BYTES: u64 = 1 << 30;
/// Longest of these bodies that counts as small, in bytes.
pub const ADMIN_SMALL_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Small bodies of administration that are taken at the same time. Of larger ones it is one.
pub const ADMIN_SMALL_BODIES_MAX: usize = 4;
/// Seconds for a body of administration to arrive, as long as it goes on within [`BODY_SECONDS_MAX`].
pub const ADMIN_BODY_SECONDS_MAX: u32 = 300;
/// Requests of administration that have a thread of their own at the same time.
pub const ADMIN_THREADS_MAX: usize = 8;
/// Exports that may be under way at the same time.
pub const EXPORTS_MAX: usize = 2;
/// Purchases that are looked up at a time for an export. Each time all buyers are looked at.
pub const EXPORT_PURCHASES: usize = 20_000;
/// Bytes of an export that are sent at once. As many wait until the client has taken those.
pub const EXPORT_PIECE_BYTES: usize = 256 * 1024;
/// Fields that are complained about in one answer.
pub const ADMIN_ERRORS_MAX: usize = 100;
/// Failures to authenticate after which a peer is locked out of administration.
pub const AUTHENTICATION_FAILURES_MAX: u32 = 10;
/// Seconds within which they count, and until whose end it is locked out.
pub const AUTHENTICATION_WINDOW_SECONDS: u32 = 60;
/// Peers whose failures are remembered.
pub const AUTHENTICATION_PEERS_MAX: usize = 4_096;
/// Seconds that the start of a new sale may lie in the past.
pub const SALE_LATE_SECONDS_MAX: u32 = 60;
/// Seconds that the start of a new sale may lie ahead (a year).
pub const SALE_AHEAD_SECONDS_MAX: u32 = 31_536_000;
/// Seconds that a drain may take before the server leaves anyway.
pub const DRAIN_SECONDS_MAX: u32 = 30;
/// Seconds that the whole end of the server may take; then the process leaves as it is. Service managers
/// should wait for longer than that.
pub const STOP_SECONDS_MAX: u64 = 60;
/// Seconds of these for the last commit, the last snapshot and the threads.
const STOP_RESERVE_SECONDS: u64 = 20;
/// Seconds from one report to the service manager to the next, at most.
pub const STATUS_SECONDS: u64 = 10;
/// Seconds within which a worker that has nothing to do still turns over; the shortest time between two
/// reports.
pub const WATCH_SECONDS_MIN: u64 = 1;
/// Seconds after which a commit that has not come back is reported, unless the configuration says otherwise.
pub const STALL_SECONDS_DEFAULT: u32 = 10;
/// How often a start looks, each 10 ms, whether the last write of an earlier process is done.
pub const LAST_WRITE_LOOKS: u32 = 300;
/// The highest value of them that can be set.
pub const STALL_SECONDS_MAX: u32 = 3_600;
/// Seconds that the journal may stand still while records wait, before it counts as dead and not as slow.
pub const JOURNAL_STILL_SECONDS: u64 = 120;
/// `Retry-After` of a 503, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Most viewers of sales at one worker, so that buyers find room beside them.
pub const VIEWERS_PER_WORKER_MAX: usize = CONNECTIONS_PER_WORKER_MAX / 4 * 3;
/// Milliseconds between two looks at a sale that is watched.
pub const STREAM_TICK_MS: u64 = 250;
/// Seconds of silence after which viewers get a comment, so that proxies keep the connection.
pub const STREAM_SILENCE_SECONDS: u64 = 15;
/// Seconds over which the rate of a sale is counted.
pub const STREAM_RATE_SECONDS: u64 = 5;
/// Milliseconds after which a viewer whose connection was lost comes again, at least.
pub const STREAM_RETRY_MS_MIN: u64 = 2_000;
/// Milliseconds after which such a viewer comes again, at most: viewers are spread over the time between.
pub const STREAM_RETRY_MS_MAX: u64 = 4_000;
/// Viewers that are woken at once. Then a worker looks after its other connections before it goes on.
pub const STREAM_WOKEN_MAX: usize = 16;
/// Bytes that the kernel keeps for a viewer who does not take them: some events of a sale, or not even one
/// of the whole server.
pub const STREAM_UNSENT_BYTES_MAX: u32 = 2_048;

/// Most records that a sink is given at once.
pub const BATCH_RECORDS_MAX: usize = 16 * 1024;
/// Milliseconds between two looks at the journal for Postgres, whose transactions cost a sync each.
/// Nobody wakes a follower, so that a commit costs nothing more when there are sinks.
pub const POSTGRES_PACE_MS: u64 = 100;
/// Milliseconds between two looks at the journal for Redis.
pub const REDIS_PACE_MS: u64 = 20;
/// By how much followers step back behind the threads that sell, in steps of `nice`.
pub const FOLLOW_NICE: i32 = 10;
/// Seconds that the end of the server may wait for sinks that are up to catch up.
pub const FOLLOW_DRAIN_SECONDS: u64 = 5;
/// Seconds that the start waits for the database to say whether it fits the journal.
pub const SINK_FIRST_WORD_SECONDS: u64 = 3;
/// Milliseconds that it waits for Redis, which cannot keep it from selling.
pub const REDIS_FIRST_WORD_MS: u64 = 200;
/// Milliseconds after which an idle sink is asked where it is.
pub const SINK_ASK_MS: u64 = 1_000;
/// Seconds for a connection to a sink to be there and prepared.
pub const SINK_CONNECT_SECONDS: u64 = 10;
/// Seconds without an answer after which a sink counts as down.
pub const SINK_SLOW_SECONDS: u64 = 2;
/// Seconds for a sink to apply a batch, from then on; then the connection is given up.
pub const SINK_APPLY_SECONDS: u64 = 60;
/// Milliseconds to the second attempt after a sink has failed.
pub const BACKOFF_MS_MIN: u64 = 100;
/// Most milliseconds between two attempts.
pub const BACKOFF_MS_MAX: u64 = 5_000;

/// Bytes of rows after which a batch for the database takes no more records.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of rows that are sent to the database at once.
pub const COPY_PIECE_BYTES: usize = 256 * 1024;
/// Seconds for a connection to the database.
pub const DATABASE_CONNECT_SECONDS: u64 = 5;
/// Seconds to wait for a lock of the database.
pub const DATABASE_LOCK_SECONDS: u64 = 4;
/// Seconds after which the database undoes the transaction of a client that says nothing, and asks
/// whether it is still there.
pub const DATABASE_IDLE_SECONDS: u64 = 10;
/// Tries to find names for statements that nobody has left in the session of a pooler; each takes the next
/// ones.
pub const DATABASE_STATEMENT_TRIES_MAX: usize = 64;
/// Seconds that reading an ended sale from the database may take.
pub const DATABASE_SALE_SECONDS: u64 = 30;
/// Connections to the database for questions.
pub const DATABASE_READERS_MAX: usize = 2;
/// Seconds that migrations may take when a server connects.
pub const MIGRATION_START_SECONDS: u64 = 4;
/// Seconds of these to wait for another process that migrates.
pub const MIGRATION_START_LOCK_SECONDS: u64 = 3;
/// Seconds that `migrate` waits for another process that migrates.
pub const MIGRATION_WAIT_SECONDS: u64 = 60;
/// Longest file of a migration, in bytes.
pub const MIGRATION_BYTES_MAX: usize = 1024 * 1024;
/// Longest file of a secret, in bytes.
pub const SECRET_FILE_BYTES_MAX: u64 = 4096;
/// Longest file of certificates, in bytes.
pub const CERTIFICATES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Records that a sink lacks from which on the log says that it begins to catch up, and that it has.
pub const CATCH_UP_RECORDS_MIN: u64 = 10_000;
/// Seconds from one line of the log about a sink that catches up to the next.
pub const PROGRESS_SECONDS: u64 = 10;
/// Sentinels, or nodes of a cluster, that are asked where the keys are: a few are enough, they know the others.
pub const REDIS_CONTACTS_MAX: usize = 32;
/// Seconds for one of them to answer; all are asked at the same time.
pub const REDIS_CONTACT_SECONDS: u64 = 2;
/// Seconds for a connection to the node that they name.
pub const REDIS_NODE_SECONDS: u64 = 3;
/// Seconds after which they are asked again, in case that the keys are at another node by now.
pub const REDIS_WATCH_SECONDS: u64 = 3;
/// Most keys, fields, bits and events that one call changes in Redis, which answers nobody else
/// meanwhile: less than ten milliseconds.
pub const REDIS_EFFECTS_MAX: usize = 2_000;
/// What a sale counts for among them, because its keys are looked at first.
pub const REDIS_EFFECTS_PER_SALE: usize = 16;
/// Events that are kept in Redis at least; about a hundred bytes each.
pub const REDIS_EVENTS_MIN: u64 = 200_000;
/// Seconds that the keys of a closed sale live on in Redis (a week).
pub const REDIS_SALE_SECONDS: u32 = 7 * 86_400;
/// Sales whose keys are removed from Redis by one call.
pub const REDIS_REMOVED_SALES_MAX: usize = 250;
/// Fields or bytes of one key that are read from Redis at once.
pub const REDIS_READ_MAX: usize = 4_096;
/// Hashes of which a part is summed up in Redis by one call, of at most [`REDIS_READ_MAX`] fields together.
pub const REDIS_SUMMED_HASHES_MAX: usize = 8;
/// Sales whose sums are checked together.
pub const REDIS_AUDITED_SALES_MAX: usize = 100;
/// Seconds that Redis may take to answer one command, of the many that filling it takes. Where the
/// follower waits for a batch, it is the one to give up.
pub const REDIS_ANSWER_SECONDS: u64 = SINK_SLOW_SECONDS + SINK_APPLY_SECONDS + 1;

/// Items of one page when the client does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 100;
/// Most items of one page.
pub const PAGE_ITEMS_MAX: u32 = 1_000;

/// Longest purchase record: fixed fields, two ids, the key, and nine bytes a line.
const PURCHASE_RECORD_BYTES_MAX: usize =
    128 + 2 * ID_BYTES_MAX + IDEMPOTENCY_KEY_BYTES_MAX + ITEMS_PER_USER_MAX as usize * 9;
/// Longest record of catalogue items.
const ITEMS_RECORD_BYTES_MAX: usize =
    64 + ITEMS_PER_RECORD_MAX * (16 + ID_BYTES_MAX + ITEM_NAME_BYTES_MAX + IMAGE_URL_BYTES_MAX);

/// Milliseconds from one sample of the server's figures to the next.
pub const SAMPLE_MS: u64 = 1_000;
/// Samples that the observer keeps for the operations page to begin with.
pub const SAMPLES_KEPT: usize = 300;
/// Custom queries (of single distributions) that may wait for their answers, equal ones counted once. Common
/// queries always have room.
pub const CUSTOM_QUERIES_MAX: usize = 32;
/// Seconds that a request waits for the answer to its query: less than Prometheus gives a scrape.
pub const QUERY_SECONDS_MAX: u64 = 5;
/// Answers to queries get one of so many microseconds of a core.
pub const CPU_BUDGET_DIVISOR: u64 = 5;
/// Most CPU time that the budget of answers saves while no query comes, in microseconds.
pub const CPU_BUDGET_US_MAX: u64 = 50_000;
/// Longest pause until the budget allows the next answers, in milliseconds.
pub const PAUSE_MS_MAX: u64 = 100;
/// Items whose units every sample counts anew, all open sales together.
pub const COUNTED_ITEMS_PER_SAMPLE: u64 = 200_000;
/// Samples in a row in which the units of a sale must fail to add up, by the same number, before it is reported.
pub const UNEVEN_SAMPLES: u32 = 3;
/// Samples in a row in which units must be held that no open checkout holds, before it is reported.
pub const UNACCOUNTED_SAMPLES: u32 = 30;
/// Most sales that are listed one by one where their number must be bounded.
pub const LISTED_SALES_MAX: usize = 16;
/// Bytes of the log that wait for whoever reads it; further lines are lost.
pub const LOG_BYTES_MAX: usize = 1024 * 1024;
/// Bytes beyond these for lines from `info` on, and as many again for errors.
pub const LOG_RESERVED_BYTES: usize = 256 * 1024;
/// How long the end of the process waits until the last lines are written, in milliseconds.
pub const LOG_FLUSH_MS: u64 = 1_000;
/// How long one attempt to send spans to a collector may take, in seconds.
pub const TRACES_SEND_SECONDS: u64 = 3;
/// How long the end of the process waits until the last spans are sent.
pub const TRACES_FLUSH_SECONDS: u64 = 5;

const _: () = {
    assert!(TRACES_SEND_SECONDS < TRACES_FLUSH_SECONDS);
    // One after the other.
    assert!(
        DRAIN_SECONDS_MAX as u64
            + FOLLOW_DRAIN_SECONDS
            + TRACES_FLUSH_SECONDS
            + STOP_RESERVE_SECONDS
            <= STOP_SECONDS_MAX
    );
    assert!(LOG_FLUSH_MS < STOP_RESERVE_SECONDS * 1_000);
    assert!(WATCH_SECONDS_MIN < STATUS_SECONDS && STATUS_SECONDS < JOURNAL_STILL_SECONDS);
    // An operator hears of a slow disk before the service manager restarts the server.
    assert!((STALL_SECONDS_DEFAULT as u64) < JOURNAL_STILL_SECONDS);
    assert!(PURCHASE_RECORD_BYTES_MAX <= RECORD_BYTES_MAX);
    assert!(ITEMS_RECORD_BYTES_MAX <= RECORD_BYTES_MAX);
    assert!(WORKERS_MAX < APPENDERS_MAX);
    // A quarter of the smallest segment must hold a record, because that is what may be pending.
    assert!(RECORD_BYTES_MAX as u64 * 4 <= SEGMENT_BYTES_MIN);
    assert!(BODY_BYTES_MAX >= ID_BYTES_MAX * 2 + IDEMPOTENCY_KEY_BYTES_MAX + 256);
    assert!(BODY_BYTES_MAX < ADMIN_SMALL_BODY_BYTES_MAX);
    assert!(ADMIN_SMALL_BODY_BYTES_MAX < ADMIN_BODY_BYTES_MAX);
    assert!(BODY_SECONDS_MAX < ADMIN_BODY_SECONDS_MAX);
    // Each of its threads may append.
    assert!(WORKERS_MAX + ADMIN_THREADS_MAX + EXPORTS_MAX < APPENDERS_MAX);
    assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX);
    assert!(SALE_ITEMS_MAX < u32::MAX);
    // The units of a sale fit into what Postgres counts with, and Lua in Redis, which has doubles.
    assert!(SALE_ITEMS_MAX as u64 * ITEM_STOCK_MAX <= 1 << 53);
    // What is announced at once leaves most of the smallest queue to buyers.
    assert!((ANNOUNCED_BYTES + ITEMS_RECORD_BYTES_MAX) as u64 <= SEGMENT_BYTES_MIN / 8 / 4);
    // A segment holds a full queue and what every thread may append behind it.
    assert!(
        SEGMENT_BYTES_MIN / 8 + (APPENDERS_MAX * PURCHASE_RECORD_BYTES_MAX) as u64
            <= SEGMENT_BYTES_MIN - 8192
    );
    // The creation of a sale waits for the next segment.
    assert!(PACED_PREPARE_MS_MAX < ANNOUNCE_SECONDS * 1000);
    assert!(POSTGRES_PACE_MS < SINK_ASK_MS && SINK_ASK_MS <= SINK_SLOW_SECONDS * 1000);
    assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX);
    // A frame as long as they become by themselves goes in one transaction, which etcd takes.
    assert!(LOG_FRAME_BYTES_MAX <= ETCD_PART_BYTES);
    assert!(ETCD_PART_BYTES + 4096 < 1536 * 1024);
    // What is kept of a frame in parts is read at once, too.
    assert!(PENDING_BYTES_MAX + APPENDERS_MAX * RECORD_BYTES_MAX < ETCD_ANSWER_BYTES_MAX);
    // Nothing stale is told any more when another one may lead.
    assert!(LEADER_FRESH_MS < TAKEOVER_MS_MIN as u64);
    // The clearer words come first.
    assert!(DATABASE_CONNECT_SECONDS + MIGRATION_START_SECONDS < SINK_CONNECT_SECONDS);
    assert!(REDIS_CONTACT_SECONDS + 2 * REDIS_NODE_SECONDS < SINK_CONNECT_SECONDS);
    assert!(MIGRATION_START_LOCK_SECONDS < MIGRATION_START_SECONDS);
    assert!(DATABASE_LOCK_SECONDS < DATABASE_IDLE_SECONDS);
    assert!(DATABASE_IDLE_SECONDS < SINK_APPLY_SECONDS);
    assert!(COPY_PIECE_BYTES <= BATCH_BYTES_MAX);
    // The lines of a purchase are numbered in 16 bits.
    assert!(ITEMS_PER_USER_MAX < 1 << 15);
    // The longest purchase and the longest list of items fit into one call.
    assert!(REDIS_EFFECTS_PER_SALE + ITEMS_PER_USER_MAX as usize + 2 <= REDIS_EFFECTS_MAX);
    assert!(REDIS_EFFECTS_PER_SALE + 2 * ITEMS_PER_RECORD_MAX <= REDIS_EFFECTS_MAX);
    assert!(HOLD_SECONDS_MAX < SALE_SECONDS_MAX && PAYMENT_SECONDS_MAX < SALE_SECONDS_MAX);
    assert!(
        FIRST_BYTE_SECONDS_MAX <= IDLE_SECONDS_DEFAULT && HEAD_SECONDS_MAX <= IDLE_SECONDS_DEFAULT
    );
    assert!(60 < IDLE_SECONDS_DEFAULT && IDLE_SECONDS_DEFAULT <= IDLE_SECONDS_MAX);
    assert!(QUIET_SECONDS < IDLE_SECONDS_DEFAULT);
    assert!(STREAM_TICK_MS < 1000 && STREAM_TICK_MS < STREAM_SILENCE_SECONDS * 1000);
    // Whoever takes nothing is noticed by the comments that cannot be sent, too.
    assert!(STREAM_SILENCE_SECONDS < WRITE_SECONDS_MAX as u64);
    assert!(STREAM_RETRY_MS_MIN < STREAM_RETRY_MS_MAX);
};
