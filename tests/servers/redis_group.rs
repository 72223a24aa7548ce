//! Several real Redis servers that belong together: a master with a replica and sentinels, or a cluster.

use std::process::Command;

use crate::redis_server::{Answer, RedisServer};
use crate::server::wait_for;

/// Users that replicas and sentinels are, so that a test can cut them off from a server and leave others in.
const USERS: [&str; 3] = [
    "requirepass shop",
    "user replica on >replica +@all ~* &*",
    "user sentinel on >sentinel +@all ~* &*",
];

/// The password of all servers, but for sentinels, which have none.
pub const PASSWORD: &str = "shop";

/// The name that the sentinels have for the master.
pub const MASTER: &str = "mymaster";

/// Settings of a server that others replicate, or that replicates others.
fn replicated(settings: &[&str]) -> RedisServer {
    let own = [
        "masteruser replica",
        "masterauth replica",
        "repl-diskless-sync-delay 0",
    ];
    let all: Vec<_> = USERS.iter().chain(&own).chain(settings).copied().collect();
    RedisServer::start_with(&all)
}

/// Lets `user` in no more, and ends its connections. The server itself stays whose it was.
pub fn cut_off(server: &RedisServer, user: &str) {
    let answer = server.command(&["ACL", "SETUSER", user, "off"]);
    assert!(!answer.is_error(), "{answer:?}");
    server.command(&["CLIENT", "KILL", "USER", user]);
}

/// Waits until a replica has a part of what its master has: one that has nothing when it takes over has to be filled
/// again.
pub fn wait_until_filled(replica: &RedisServer) {
    wait_for("the replica to be filled", || {
        (replica.command(&["DBSIZE"]).number() > 0).then_some(())
    });
}

/// Lets `user` in again.
pub fn let_in(server: &RedisServer, user: &str) {
    let answer = server.command(&["ACL", "SETUSER", user, "on"]);
    assert!(!answer.is_error(), "{answer:?}");
}

/// A line of `INFO`, without its name.
fn info(server: &RedisServer, name: &str) -> String {
    let Ok(answer) = server.try_command(&["INFO"]) else {
        return String::new();
    };
    let text = answer.text();
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
    text.lines().find_map(value).unwrap_or_default()
}

/// Whether a replica has everything that its master has at this moment.
fn is_synced(replica: &RedisServer) -> bool {
    info(replica, "role") == "slave" && info(replica, "master_link_status") == "up"
}

/// A master and a replica, in any order, with the sentinels that watch them.
pub struct Guarded {
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Guarded {
    /// Two servers and three sentinels, of which two have to agree.
    pub fn start() -> Self {
        let master = replicated(&[]);
        let port = master.port().to_string();
        let replica = replicated(&[&format!("replicaof 127.0.0.1 {port}")]);
        let settings: Vec<String> = [
            format!("sentinel monitor {MASTER} 127.0.0.1 {port} 2"),
            format!("sentinel auth-user {MASTER} sentinel"),
            format!("sentinel auth-pass {MASTER} sentinel"),
            format!("sentinel down-after-milliseconds {MASTER} 1500"),
            format!("sentinel failover-timeout {MASTER} 4000"),
        ]
        .into();
        let start = |_| {
            let sentinel = RedisServer::start_sentinel(&settings);
            // They look and talk more often than every ten and two seconds.
            for period in ["info-period", "publish-period"] {
                let answer = sentinel.command(&["SENTINEL", "DEBUG", period, "500"]);
                assert!(!answer.is_error(), "{answer:?}");
            }
            sentinel
        };
        let group = Self {
            servers: vec![master, replica],
            sentinels: (0..3).map(start).collect(),
        };
        group.wait_until_guarded();
        group
    }

    /// Waits until the replica is in step, and all sentinels know it and each other.
    pub fn wait_until_guarded(&self) {
        wait_for("the replica", || {
            self.servers.iter().any(is_synced).then_some(())
        });
        for sentinel in &self.sentinels {
            wait_for("the sentinels", || {
                let fields = sentinel.command(&["SENTINEL", "MASTER", MASTER]);
                let field = |name: &str| field(&fields, name);
                let knows = field("num-slaves") == "1" && field("num-other-sentinels") == "2";
                let is_up = field("flags") == "master";
                (knows && is_up && self.replica_is_known(sentinel)).then_some(())
            });
        }
    }

    fn replica_is_known(&self, sentinel: &RedisServer) -> bool {
        let replicas = sentinel.command(&["SENTINEL", "REPLICAS", MASTER]);
        let is_fit = |replica: &Answer| {
            field(replica, "flags") == "slave" && field(replica, "master-link-status") == "ok"
        };
        replicas.list().iter().any(is_fit)
    }

    /// The place of the server that most sentinels take for the master.
    pub fn master(&self) -> usize {
        wait_for("a master", || {
            let mut named = self.sentinels.iter().map(|sentinel| {
                let answer = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
                answer.list()[1].text()
            });
            let port = named.next().expect("a sentinel");
            if named.any(|other| other != port) {
                return None;
            }
            let is_it = |server: &RedisServer| server.port().to_string() == port;
            self.servers.iter().position(is_it)
        })
    }

    /// Waits until the sentinels have made another server than that at `old` the master.
    pub fn wait_for_failover(&self, old: usize) -> usize {
        wait_for("the failover", || {
            let new = self.master();
            (new != old && info(&self.servers[new], "role") == "master").then_some(new)
        })
    }
}

/// A value in a list of names and values.
fn field(list: &Answer, name: &str) -> String {
    let mut pairs = list.list().chunks(2);
    let found = pairs.find(|pair| pair[0].text() == name);
    found.map(|pair| pair[1].text()).unwrap_or_default()
}

fn is_alive(server: &RedisServer) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok()
}

/// A cluster of three masters, with a replica for each where there are six.
pub struct Cluster {
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// A cluster with `replicas` for each of three masters.
    pub fn start(replicas: usize) -> Self {
        let settings = [
            "cluster-enabled yes",
            "cluster-node-timeout 2000",
            // However old its state is.
            "cluster-replica-validity-factor 0",
        ];
        let nodes: Vec<_> = (0..3 * (1 + replicas))
            .map(|_| replicated(&settings))
            .collect();
        let addresses = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        let output = Command::new("redis-cli")
            .args(["--no-auth-warning", "-a", PASSWORD, "--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .output()
            .expect("redis-cli is installed");
        assert!(output.status.success(), "{output:?}");
        let cluster = Self { nodes };
        cluster.wait_until_whole();
        cluster
    }

    /// Waits until all nodes agree that all is well, and every replica is in step.
    pub fn wait_until_whole(&self) {
        for node in &self.nodes {
            wait_for("the cluster", || {
                let about = node.command(&["CLUSTER", "INFO"]).text();
                let is_ok = about.contains("cluster_state:ok")
                    && about.contains(&format!("cluster_known_nodes:{}", self.nodes.len()));
                let in_step = info(node, "role") == "master" || is_synced(node);
                (is_ok && in_step).then_some(())
            });
        }
    }

    /// The id of the node at this place.
    pub fn id(&self, place: usize) -> String {
        self.nodes[place].command(&["CLUSTER", "MYID"]).text()
    }

    /// The place of the node that takes writes to the slot and has it, other than `old`.
    pub fn master_of(&self, slot: i64, old: Option<usize>) -> usize {
        wait_for("a master of the slot", || {
            (0..self.nodes.len()).find(|&place| Some(place) != old && self.has(place, slot))
        })
    }

    fn has(&self, place: usize, slot: i64) -> bool {
        let node = &self.nodes[place];
        if !is_alive(node) || info(node, "role") != "master" {
            return false;
        }
        let id = self.id(place);
        let ranges = node.command(&["CLUSTER", "SLOTS"]);
        ranges.list().iter().any(|range| {
            let range = range.list();
            (range[0].number()..=range[1].number()).contains(&slot)
                && range[2].list()[2].text() == id
        })
    }

    /// The place of the replica of the master at `master`.
    pub fn replica_of(&self, master: usize) -> usize {
        let id = self.id(master);
        let replica = wait_for("a replica", || {
            let replicas = self.nodes[master].command(&["CLUSTER", "REPLICAS", &id]);
            let line = replicas.list().first()?.text();
            line.split_whitespace().next().map(str::to_owned)
        });
        let is_it = |place: &usize| self.id(*place) == replica;
        (0..self.nodes.len()).find(is_it).expect("one of ours")
    }
}
