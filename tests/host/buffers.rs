//! What limits writing in the profile `linux`, beside the windows.

use super::wire::{C, S, World};
use wirefate::endpoint::{Errno, MsgFlags, Readiness, SockOpt, SocketId};
use wirefate::host::{HostConfig, Profile};
use wirefate::wire::Payload;

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

fn write(world: &mut World, id: SocketId, len: usize, flags: MsgFlags) -> Result<u32, Errno> {
    world.call(C, |s, cx| s.send(cx, id, &Payload::from(vec![0; len]), flags))
}

fn set(world: &mut World, id: SocketId, option: SockOpt) {
    world.call(C, |s, cx| s.set_option(cx, id, option)).unwrap();
}

/// Ten segments leave at once; what is written beyond them is not sent yet.
const FIRST_FLIGHT: usize = 10 * 1_448;

#[test]
fn notsent_lowat_stops_writing_and_halves_of_it_wake() {
    let mut world = World::pair(linux("client"), linux("server"));
    let (client, _, _) = world.connected(80);
    set(&mut world, client, SockOpt::NotSentLowat(1_000));
    assert_eq!(write(&mut world, client, FIRST_FLIGHT + 499, MsgFlags::empty()), Ok(14_979));
    assert_eq!(world.poll(C, client), Readiness::WRITABLE);
    assert_eq!(write(&mut world, client, 1, MsgFlags::empty()), Ok(1));
    assert_eq!(world.poll(C, client), Readiness::empty());
    assert_eq!(write(&mut world, client, 500, MsgFlags::empty()), Ok(500));
    assert_eq!(write(&mut world, client, 1, MsgFlags::empty()), Err(Errno::EAGAIN));
    world.told();
    world.run();
    assert!(world.told().contains(&(C, client, Readiness::WRITABLE)));
}

#[test]
fn the_host_has_a_lowat_for_sockets_without_one() {
    let mut world = World::pair(linux("client").sysctl("net.ipv4.tcp_notsent_lowat", 1), linux("server"));
    let (client, _, _) = world.connected(80);
    assert_eq!(write(&mut world, client, FIRST_FLIGHT, MsgFlags::empty()), Ok(14_480));
    assert_eq!(write(&mut world, client, 1, MsgFlags::empty()), Ok(1));
    assert_eq!(write(&mut world, client, 1, MsgFlags::empty()), Err(Errno::EAGAIN));
}

#[test]
fn the_send_buffer_holds_two_windows_unless_it_is_chosen() {
    for (chosen, room) in [(None, 87_040), (Some(10_000), 20_000)] {
        let mut world = World::pair(linux("client"), linux("server"));
        let (client, _, _) = world.connected(80);
        if let Some(bytes) = chosen {
            set(&mut world, client, SockOpt::SendBuffer(bytes));
        }
        assert_eq!(write(&mut world, client, 200_000, MsgFlags::empty()), Ok(room));
    }
}

#[test]
fn more_holds_back_until_the_next_segment_comes() {
    let mut world = World::pair(linux("client"), linux("server"));
    let (client, _, server) = world.connected(80);
    set(&mut world, client, SockOpt::NoDelay(true));
    assert_eq!(write(&mut world, client, 10, MsgFlags::MORE), Ok(10));
    world.run();
    assert_eq!(world.sent(), []);
    world.send(S, server, "x").unwrap();
    world.run();
    assert!(world.sent().iter().any(|&(from, _, len)| (from, len) == (C, 10)));
}
