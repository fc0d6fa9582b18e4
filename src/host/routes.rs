//! What the administrator says of ways to others (`ip route`): where new connections start from.

use crate::endpoint::RouteMetrics;
use std::net::IpAddr;

/// The entries, each for a range of addresses.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    prefix: IpAddr,
    len: u8,
    metrics: RouteMetrics,
}

impl Routes {
    /// Puts an entry in the place of the one for the same range (`ip route replace`).
    pub(super) fn change(&mut self, prefix: IpAddr, len: u8, metrics: RouteMetrics) {
        self.0.retain(|route| (route.prefix, route.len) != (prefix, len));
        self.0.push(Route { prefix, len, metrics });
    }

    /// The entry for the smallest range that `to` lies in.
    pub(super) fn to(&self, to: IpAddr) -> Option<&RouteMetrics> {
        let fitting = self.0.iter().filter(|route| covers(route.prefix, route.len, to));
        fitting.max_by_key(|route| route.len).map(|route| &route.metrics)
    }
}

fn covers(prefix: IpAddr, len: u8, addr: IpAddr) -> bool {
    let (bits, whole, other) = match (prefix, addr) {
        (IpAddr::V4(prefix), IpAddr::V4(addr)) => (32, u128::from(prefix.to_bits()), u128::from(addr.to_bits())),
        (IpAddr::V6(prefix), IpAddr::V6(addr)) => (128, prefix.to_bits(), addr.to_bits()),
        _ => return false,
    };
    let shift = u32::from(bits - len.min(bits));
    whole.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_range_counts() {
        let mut routes = Routes::default();
        let window = |n| RouteMetrics { initcwnd: Some(n), ..RouteMetrics::default() };
        let found = |routes: &Routes, to: &str| routes.to(to.parse().unwrap()).and_then(|metrics| metrics.initcwnd);
        routes.change("0.0.0.0".parse().unwrap(), 0, window(1));
        routes.change("192.0.2.0".parse().unwrap(), 24, window(2));
        routes.change("192.0.2.7".parse().unwrap(), 32, window(3));
        assert_eq!(found(&routes, "192.0.2.7"), Some(3));
        assert_eq!(found(&routes, "192.0.2.8"), Some(2));
        assert_eq!(found(&routes, "192.0.3.7"), Some(1));
        assert_eq!(found(&routes, "2001:db8::1"), None);
        routes.change("192.0.2.0".parse().unwrap(), 24, window(5));
        assert_eq!(found(&routes, "192.0.2.8"), Some(5));
    }
}
