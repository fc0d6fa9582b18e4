//! What an administrator changes while the host runs.

use super::Host;
use super::sysctl::{self, SysctlError};
use crate::endpoint::{Congestion, Cx, Order, Qdisc, Refusal, RouteMetrics, State};
use std::net::IpAddr;

impl Host {
    pub(super) fn carry_out(&mut self, cx: &mut Cx<'_>, order: &Order) -> Result<(), Refusal> {
        match order {
            Order::Sysctl { name, value } => self.set_sysctl(name, value),
            Order::FlushMetrics => {
                self.known.forget();
                self.fast_open.forget();
                Ok(())
            }
            Order::Drop { state } => {
                self.drop_all_in(cx, *state);
                Ok(())
            }
            Order::Mtu { iface, mtu } => {
                if self.addrs.set_mtu(*iface, *mtu) {
                    Ok(())
                } else {
                    Err(Refusal::Invalid(format!("no interface {}", iface.0)))
                }
            }
            Order::Qdisc(Qdisc::Fifo { limit }) => {
                self.limits.is_queue_full = *limit == Some(0);
                Ok(())
            }
            Order::Route { prefix, prefix_len, metrics } => self.change_route(*prefix, *prefix_len, metrics),
            // sk_setup_caps(): TCP has software do it where the interface does not, so what leaves is the same.
            Order::Offload { .. } => Ok(()),
            Order::Qdisc(Qdisc::Fq) => Err(Refusal::Unknown),
        }
    }

    /// New connections to these addresses follow it; those that are there do not.
    fn change_route(&mut self, prefix: IpAddr, len: u8, metrics: &RouteMetrics) -> Result<(), Refusal> {
        if let Some(name) = metrics.congestion.as_deref().filter(|name| Congestion::from_name(name).is_none()) {
            return Err(Refusal::Invalid(format!("no congestion control `{name}`: there are `reno` and `cubic`")));
        }
        if metrics.mtu_locked {
            return Err(Refusal::Lacking("`mtu lock`: path MTU discovery cannot be turned off for a route".to_owned()));
        }
        self.routes.change(prefix, len, metrics.clone());
        Ok(())
    }

    /// What is read from the settings each time follows at once: timeouts and limits. What a socket or connection was
    /// born with stays.
    fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let ports = self.settings.ports;
        let set = sysctl::set(self.profile, &mut self.settings, name, value);
        set.map_err(|error| match error {
            SysctlError::Unknown { .. } => Refusal::Unknown,
            SysctlError::Lacking { .. } => Refusal::Lacking(error.to_string()),
            SysctlError::Value { .. } | SysctlError::Order { .. } | SysctlError::Text { .. } => {
                Refusal::Invalid(error.to_string())
            }
        })?;
        self.settings.follow();
        // RFC 6298 2.5 allows no maximum below the minimum.
        self.settings.knobs.rto_max = self.settings.knobs.rto_max.max(self.settings.knobs.rto_min);
        self.tcp_ports.reserve(&self.settings.reserved);
        self.udp_ports.reserve(&self.settings.reserved);
        if self.settings.ports != ports {
            self.set_port_range();
        }
        Ok(())
    }

    /// From now on ephemeral ports are chosen from another range; who has one keeps it.
    fn set_port_range(&mut self) {
        let conns = self.conns.iter().filter(|(_, conn)| conn.indexed).map(|(_, conn)| conn.key);
        let left = self.leftovers.iter().map(|(_, left)| left.key());
        let halves = self.halves.iter().map(|(_, half)| half.key());
        let used = conns.chain(left).chain(halves).map(|key| (key.destination(), key.local_port));
        self.tcp_ports.set_range(self.settings.ports, used);
        self.udp_ports.set_range(self.settings.ports, std::iter::empty());
    }

    /// `tcpdrop`: what is left of connections is forgotten, others are aborted.
    fn drop_all_in(&mut self, cx: &mut Cx<'_>, state: State) {
        let left: Vec<u32> =
            self.leftovers.iter().filter(|(_, left)| left.tcp.state() == state).map(|(n, _)| n).collect();
        left.into_iter().for_each(|index| self.drop_leftover(index));
        let conns = self.conns.iter().filter(|(_, conn)| conn.indexed && conn.tcp.state() == state);
        let conns: Vec<u32> = conns.map(|(index, _)| index).collect();
        for index in conns {
            self.touch(cx, index, |tcp, context| tcp.abort(context));
        }
    }
}
