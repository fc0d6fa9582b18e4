use std::net::{IpAddr, SocketAddr};

/// An endpoint of a run, numbered from 0 in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A directed link of a run, numbered from 0 in the order of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// A socket that an application or a scripted step works with, numbered from 0 in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A directed link's two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkName {
    /// The sending endpoint.
    pub from: String,
    /// The receiving endpoint.
    pub to: String,
}

impl std::fmt::Display for LinkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {}", self.from, self.to)
    }
}

/// The names of everything that a trace refers to by number.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub(crate) nodes: Vec<String>,
    pub(crate) links: Vec<LinkName>,
    pub(crate) streams: Vec<String>,
    pub(crate) addrs: Vec<(IpAddr, NodeId)>,
}

impl Names {
    /// The name of an endpoint.
    pub fn node(&self, node: NodeId) -> &str {
        &self.nodes[node.0 as usize]
    }

    /// The name of a link.
    pub fn link(&self, link: LinkId) -> &LinkName {
        &self.links[link.0 as usize]
    }

    /// The name of a socket.
    pub fn stream(&self, stream: StreamId) -> &str {
        &self.streams[stream.0 as usize]
    }

    /// Every endpoint in the order of declaration.
    pub fn all_nodes(&self) -> impl Iterator<Item = (NodeId, &str)> {
        (0u32..).map(NodeId).zip(self.nodes.iter().map(String::as_str))
    }

    /// Every link in the order of its making.
    pub fn all_links(&self) -> impl Iterator<Item = (LinkId, &LinkName)> {
        (0u32..).map(LinkId).zip(self.links.iter())
    }

    /// Every address and the endpoint that has it.
    pub fn all_addrs(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.addrs.iter().map(|&(addr, node)| (addr, self.node(node)))
    }

    /// An address as a reader knows it: the endpoint's name, or the numbers.
    pub fn addr(&self, addr: IpAddr) -> String {
        match self.addrs.iter().find(|(a, _)| *a == addr) {
            Some(&(_, node)) => self.node(node).to_owned(),
            None => addr.to_string(),
        }
    }

    /// A socket address as a reader knows it: `server:80`.
    pub fn socket(&self, addr: SocketAddr) -> String {
        if addr.ip().is_unspecified() {
            return format!(":{}", addr.port());
        }
        match self.addrs.iter().find(|(a, _)| *a == addr.ip()) {
            Some(&(_, node)) => format!("{}:{}", self.node(node), addr.port()),
            None => addr.to_string(),
        }
    }
}
