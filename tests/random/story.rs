use super::draw::Draw;
use super::load::{ask, serve};
use super::trouble::Trouble;
use super::world::World;
use wirefate::sim::{Budget, Sim};
use wirefate::{ms, secs};

/// One run from its seed; also whether it had to be stopped.
pub(crate) fn story(sim: &mut Sim) -> (World, bool) {
    let mut draw = Draw::new(sim.seed());
    let draw = &mut draw;
    sim.set_budget(Budget {
        events: 2_000_000,
        zero_time: 20_000,
        in_flight: 100_000,
        memory: 64 << 20,
        ..Budget::default()
    });
    let mut world = World::build(sim, draw);
    for host in world.hosts.clone() {
        serve(sim, &mut world, draw, host);
    }
    let mut trouble = Trouble::default();
    let is_calm = draw.chance(20);
    for _ in 0..draw.between(4, 24) {
        if draw.chance(65) {
            ask(sim, &mut world, draw);
        } else if !is_calm {
            trouble.happen(sim, &mut world, draw);
        }
        trouble.ease(sim, &mut world, draw);
        if draw.chance(70) {
            let longest = draw.of(&[ms(1), ms(200), secs(1), secs(8)]);
            let span = draw.span(ms(0), longest);
            sim.run_for(span);
        }
    }
    trouble.end(sim, &mut world, draw);
    // From here on nothing bad happens. What still goes on after so long may do so for ever: keepalives between two
    // idle ends, probes of a window that nobody opens. The end of their programs must end these too.
    sim.run_for(secs(2 * 3_600));
    let stopped = sim.next_event_at().is_some();
    if stopped {
        world.hosts.iter().for_each(|&host| sim.kill(host));
    }
    sim.run();
    (world, stopped)
}
