//! Real clusters on machines of their own: etcd, Patroni with PostgreSQL, servers and HAProxy in network namespaces, and everything that dies.
//!
//! The files in `docker/ha` drive them, as they do the containers.

mod campaign;
mod faults;
mod machine;
mod network;
mod shop;
