//! The table of states and segments: what our host does, held against RFC 9293 3.10.7 and RFC 5961.

use wirefate::endpoint::Endpoint;
use wirefate::host::{Host, HostConfig};
use wirefate::matrix::Matrix;

fn host(config: HostConfig) -> impl Fn() -> Box<dyn Endpoint> {
    move || Box::new(Host::new(config.clone(), 1).unwrap())
}

#[test]
fn rfc9293() {
    let matrix = Matrix::of(host(HostConfig::named("subject")));
    println!("{matrix}");
}
