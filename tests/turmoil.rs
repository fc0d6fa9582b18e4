//! One story in two simulators: a request is written while the network is cut for a second.
//!
//! turmoil's TCP delivers messages and does not retransmit, so what was lost stays lost and the reader waits for ever;
//! a test of what a service does about a short cut needs a TCP that sends again.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};
use wirefate::{Link, Sim, ms, secs};

const REQUEST: &[u8] = b"are you there?";

#[test]
fn turmoil_loses_the_request_for_good() {
    let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
    sim.host("server", || async {
        let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; REQUEST.len()];
        stream.read_exact(&mut request).await?;
        stream.write_all(&request).await?;
        Ok(())
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect(("server", 80)).await?;
        turmoil::partition("client", "server");
        stream.write_all(REQUEST).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        turmoil::repair("client", "server");
        let mut answer = [0; REQUEST.len()];
        stream.read_exact(&mut answer).await?;
        Ok(())
    });
    let error = sim.run().expect_err("nothing sends the request again");
    assert!(error.to_string().contains("60s"), "{error}");
}

#[test]
fn here_it_is_sent_again() {
    let mut sim = Sim::new(1);
    let [client, server] = sim.hosts(["client", "server"]);
    sim.link(client, server, Link::new().delay(ms(20)));
    sim.listen(server, 80);
    let conn = sim.connect(client, server, 80);
    sim.run_for(ms(100));
    sim.partition(client, server);
    sim.write(conn, REQUEST);
    sim.run_for(secs(1));
    sim.heal(client, server);
    sim.close(conn);
    sim.run();
    assert_eq!(sim.received(sim.peer(conn)), REQUEST);
    assert!(sim.outcome().held(), "{:?}", sim.outcome().violations);
}
