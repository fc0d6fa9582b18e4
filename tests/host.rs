//! Hosts joined by a wire that takes no time and loses nothing but what a test tells it to.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "host/accept.rs"]
mod accept;
#[path = "host/backlog.rs"]
mod backlog;
#[path = "host/bind.rs"]
mod bind;
#[path = "host/buffers.rs"]
mod buffers;
#[path = "host/close.rs"]
mod close;
#[path = "host/connect.rs"]
mod connect;
#[path = "host/counted.rs"]
mod counted;
#[path = "host/datagrams.rs"]
mod datagrams;
#[path = "host/fast_open.rs"]
mod fast_open;
#[path = "host/faults.rs"]
mod faults;
#[path = "host/freebsd.rs"]
mod freebsd;
#[path = "host/linux.rs"]
mod linux;
#[path = "host/memory.rs"]
mod memory;
#[path = "host/ready.rs"]
mod ready;
#[path = "host/windows.rs"]
mod windows;
#[path = "host/wire.rs"]
mod wire;
