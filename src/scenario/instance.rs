//! One run's worth of a scenario: every value in its place, every name resolved.

use super::check::check;
use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Error, Fact, Source};
use super::expect::Expect;
use super::fault::{Fault, faults};
use super::header::ParamValue;
use super::host::{Host, hosts};
use super::link::{Link, Path, Prefix, links};
use super::load::{Load, loads};
use super::print::print;
use super::script::{Step, script};
use super::substitute::escape;
use super::tree::{Node, Table, Value};
use crate::time::{SimTime, Span};
use std::sync::Arc;

/// A sim as it is run: one variant, with a value for every parameter.
#[derive(Clone, Debug)]
pub struct Instance {
    /// One line.
    pub title: String,
    /// Where the behaviour is written down.
    pub source: String,
    /// One word.
    pub topic: String,
    /// What to look at, with the values of this run.
    pub story: String,
    /// The name of the variant.
    pub variant: Option<String>,
    /// What every parameter is, `ip` included, by name.
    pub params: Vec<(String, ParamValue)>,
    /// The IP version of connections whose target is a host.
    pub ip: IpVersion,
    /// The run ends then, if it has not come to rest before.
    pub until: Option<SimTime>,
    /// Who takes part, groups as one.
    pub hosts: Vec<Host>,
    /// What connects them.
    pub links: Vec<Link>,
    /// Addresses that no host has.
    pub prefixes: Vec<Prefix>,
    /// The link between any two hosts that have none of their own.
    pub default_link: Option<Path>,
    /// What is done.
    pub steps: Vec<Step>,
    /// What is done many times.
    pub loads: Vec<Load>,
    /// What is disturbed.
    pub faults: Vec<Fault>,
    /// What must come out.
    pub expect: Expect,
    pub(super) root: Table,
    pub(super) file: Arc<Source>,
}

/// IP version 4 or 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Two instances are equal if what is run is, whatever file they came from.
impl PartialEq for Instance {
    fn eq(&self, other: &Instance) -> bool {
        let head = |i: &Instance| (i.title.clone(), i.source.clone(), i.topic.clone(), i.story.clone(), i.ip, i.until);
        head(self) == head(other)
            && (&self.hosts, &self.links, &self.prefixes) == (&other.hosts, &other.links, &other.prefixes)
            && (&self.default_link, &self.steps, &self.loads) == (&other.default_link, &other.steps, &other.loads)
            && (&self.faults, &self.expect) == (&other.faults, &other.expect)
    }
}

impl Eq for Instance {}

impl Instance {
    /// The host or group called `name`, or of which `name` is a member.
    pub fn host(&self, name: &str) -> Option<&Host> {
        let group = name.split_once('.').map_or(name, |(group, _)| group);
        self.hosts.iter().find(|host| *host.name == group)
    }

    /// The hosts that `name` means: itself, or the members of a group.
    pub fn members(&self, name: &str) -> Vec<String> {
        match self.hosts.iter().find(|host| *host.name == name).and_then(|host| host.count) {
            Some(count) => (1..=count).map(|n| format!("{name}.{n}")).collect(),
            None => vec![name.to_owned()],
        }
    }

    /// This run as a scenario of its own, without parameters and variants.
    pub fn to_toml(&self) -> String {
        let mut root = self.root.clone();
        escape(&mut root);
        print(&root)
    }

    /// A mistake that is found when the sim is built, at the place of `value`.
    pub fn mistake<T>(&self, value: &Spanned<T>, fact: Fact) -> Error {
        Error { fact: Box::new(fact), span: Some(value.span()), note: None, source: Arc::clone(&self.file) }
    }

    /// Line and column of `value`, both from 1.
    pub fn place<T>(&self, value: &Spanned<T>) -> (usize, usize) {
        self.file.place(value.span().start)
    }
}

/// What is known of an instance besides its tree.
pub(super) struct Frame {
    pub(super) variant: Option<String>,
    pub(super) params: Vec<(String, ParamValue)>,
    pub(super) ip: IpVersion,
    pub(super) file: Arc<Source>,
}

/// Reads a tree without parameters. Mistakes go to `sink`; with any, the instance is not for use.
pub(super) fn read_instance(root: Table, frame: Frame, sink: &mut Sink) -> Option<Instance> {
    let before = sink.mistakes.len();
    let node = Node::new(Value::Table(root.clone()), 0..0);
    let mut fields = Fields::of(&node, "a scenario", sink)?;
    fields.knows(&["format", "params", "variant", "sweep"]);
    let text = |fields: &mut Fields<'_>, key| fields.get::<String>(key).unwrap_or_default();
    let (title, source) = (text(&mut fields, "title"), text(&mut fields, "source"));
    let (topic, story) = (text(&mut fields, "topic"), text(&mut fields, "story"));
    let until = fields.get::<Span>("until").map(|until| SimTime::ZERO + until);
    if !fields.has("hosts") {
        fields.missing("`[hosts]`");
    }
    let hosts = fields.node("hosts").map(|node| hosts(node, fields.sink)).unwrap_or_default();
    let (links, prefixes) = fields.node("links").map(|node| links(node, fields.sink)).unwrap_or_default();
    let default_link = fields.get::<Network>("network").and_then(|network| network.0);
    let steps = fields.node("script").map(|node| script(node, fields.sink)).unwrap_or_default();
    let loads = fields.node("load").map(|node| loads(node, fields.sink)).unwrap_or_default();
    let faults = fields.node("fault").map(|node| faults(node, fields.sink)).unwrap_or_default();
    let expect = fields.or("expect", Expect::default());
    fields.finish();
    let Frame { variant, params, ip, file } = frame;
    let instance = Instance {
        title,
        source,
        topic,
        story,
        variant,
        params,
        ip,
        until,
        hosts,
        links,
        prefixes,
        default_link,
        steps,
        loads,
        faults,
        expect,
        root,
        file,
    };
    // What is compared with what is misread makes no sense.
    if sink.mistakes.len() == before {
        check(&instance, sink);
    }
    Some(instance)
}

/// `[network] default = { … }`.
struct Network(Option<Path>);

impl Decode for Network {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Network> {
        let mut fields = Fields::of(node, "`[network]`", sink)?;
        let path = fields.need("default");
        fields.finish();
        Some(Network(path))
    }
}
