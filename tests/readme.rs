//! The first test that a reader sees, as a test; and two changes to it that must make it fail.

use wirefate::Sim;

// README begin
use wirefate::{Link, ms, percent};

#[test]
fn upload_survives_a_lossy_link() {
    wirefate::check(0..100, |sim| {
        let [client, server] = sim.hosts(["client", "server"]);
        sim.link(client, server, Link::new().delay(ms(20)).loss(percent(2)).reorder(percent(1)));
        sim.listen(server, 80);
        let conn = sim.connect(client, server, 80);
        sim.write(conn, &[7; 100_000]);
        sim.close(conn);
        sim.run();
        assert_eq!(sim.received(sim.peer(conn)), [7; 100_000]);
    });
}
// README end

/// What `check` says about a story that fails: the one screen.
fn report(story: impl Fn(&mut Sim) + Sync + std::panic::RefUnwindSafe + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(|| wirefate::check(0..3, story)).expect_err("the story fails");
    panic.downcast_ref::<String>().expect("a report is text").clone()
}

#[test]
fn a_link_that_loses_everything_fails_it() {
    let report = report(|sim| {
        let [client, server] = sim.hosts(["client", "server"]);
        sim.link(client, server, Link::new().delay(ms(20)).loss(percent(100)));
        sim.listen(server, 80);
        let conn = sim.connect(client, server, 80);
        sim.write(conn, &[7; 100_000]);
        sim.close(conn);
        sim.run();
        assert_eq!(sim.received(sim.peer(conn)), [7; 100_000]);
    });
    assert!(report.contains("fails under seed 0 (of 0..3)"), "{report}");
    assert!(report.contains("nothing accepted it"), "{report}");
    assert!(report.contains("client > server, c1, S #1 (packet 1): drop at loss"), "{report}");
    let command = "WIREFATE_SEED=0 cargo test --test readme a_link_that_loses_everything_fails_it -- --exact";
    assert!(report.contains(command), "{report}");
}

#[test]
fn a_peer_that_does_not_read_fails_it() {
    let report = report(|sim| {
        let [client, server] = sim.hosts(["client", "server"]);
        sim.link(client, server, Link::new().delay(ms(20)).loss(percent(2)).reorder(percent(1)));
        let listener = sim.listener(server, 80, 8);
        let accepted = sim.accept(listener);
        let conn = sim.connect(client, server, 80);
        sim.write(conn, &[7; 100_000]);
        sim.close(conn);
        sim.run();
        assert_eq!(sim.received(accepted), [7; 100_000]);
    });
    assert!(report.contains("0 bytes"), "{report}");
}
