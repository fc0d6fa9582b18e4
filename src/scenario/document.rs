//! A scenario file.

use super::decode::{Fields, Mistake, Sink, Spanned};
use super::error::{Error, Errors, Fact, Kind, Source};
use super::header::{Axis, IP, IP_VERSIONS, Param, ParamValue, Sweep, Variant, is_ip_version, params, sweep, variants};
use super::instance::{Frame, Instance, IpVersion, read_instance};
use super::limit;
use super::print::print;
use super::substitute::{Values, substitute};
use super::tree::{Node, Table, Value, read};
use std::sync::Arc;

/// A file, checked in all its variants. Two are equal if they say the same, whatever their layout and comments.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// One line.
    pub title: String,
    /// Where the behaviour is written down.
    pub source: String,
    /// One word.
    pub topic: String,
    /// What to look at; may name parameters.
    pub story: String,
    /// What can be set, in the order of the file.
    pub params: Vec<Param>,
    /// The other stories of the file.
    pub variants: Vec<Variant>,
    /// What `wirefate sweep` runs.
    pub sweep: Option<Sweep>,
    root: Table,
    file: Arc<Source>,
}

impl PartialEq for Scenario {
    fn eq(&self, other: &Scenario) -> bool {
        self.root == other.root
    }
}

impl Eq for Scenario {}

impl Scenario {
    /// Reads a file that may be anything.
    pub fn parse_bytes(file_name: &str, bytes: &[u8]) -> Result<Scenario, Errors> {
        let unread = |fact| {
            let file = Source { name: file_name.to_owned(), text: String::new() };
            Errors::from(Error { fact: Box::new(fact), span: None, note: None, source: Arc::new(file) })
        };
        if bytes.len() > limit::FILE {
            return Err(unread(Fact::FileTooLarge { bytes: bytes.len(), max: limit::FILE }));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Scenario::parse(file_name, text),
            Err(error) => Err(unread(Fact::NotUtf8 { offset: error.valid_up_to() })),
        }
    }

    /// Reads a file. `file_name` is what errors call it.
    pub fn parse(file_name: &str, text: &str) -> Result<Scenario, Errors> {
        if text.len() > limit::FILE {
            return Scenario::parse_bytes(file_name, text.as_bytes());
        }
        let file = Arc::new(Source { name: file_name.to_owned(), text: text.to_owned() });
        let root = read(text).map_err(|list| {
            let note = |(fact, span)| Error { fact: Box::new(fact), span, note: None, source: Arc::clone(&file) };
            Errors::of(list.into_iter().map(note).collect())
        })?;
        let mut sink = Sink::default();
        let scenario = header(root, &file, &mut sink);
        let Some(scenario) = scenario else { return Err(Errors::of(place(sink, &file))) };
        scenario.check(sink)?;
        Ok(scenario)
    }

    /// One run's worth: `variant` by its name, `overrides` as `(parameter, value)`, `sysctls` as
    /// `(host, name, value)`.
    pub fn instance(
        &self,
        variant: Option<&str>,
        overrides: &[(&str, &str)],
        sysctls: &[(&str, &str, &str)],
    ) -> Result<Instance, Errors> {
        let variant = match variant {
            Some(name) => Some(self.variant(name)?),
            None => None,
        };
        let mut values = self.values(variant);
        for (name, text) in overrides {
            let value = self.override_value(&values, name, text)?;
            values.insert((*name).to_owned(), value);
        }
        let mut root = self.resolved(variant);
        for (host, name, value) in sysctls {
            self.set_sysctl(&mut root, host, name, value)?;
        }
        let mut sink = Sink::default();
        match self.build(root, variant, values, &mut sink) {
            Some(instance) if sink.mistakes.is_empty() => Ok(instance),
            _ => Err(Errors::of(place(sink, &self.file))),
        }
    }

    /// The whole file in its canonical layout, without comments.
    pub fn to_toml(&self) -> String {
        print(&self.root)
    }

    /// The name of the file as errors call it.
    pub fn file_name(&self) -> &str {
        &self.file.name
    }

    /// The declared parameter called `name`.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| *param.name == name)
    }

    /// Line and column of `value`, both from 1.
    pub fn place<T>(&self, value: &Spanned<T>) -> (usize, usize) {
        self.file.place(value.span().start)
    }

    fn variant(&self, name: &str) -> Result<&Variant, Errors> {
        self.variants.iter().find(|variant| *variant.name == name).ok_or_else(|| {
            let known = self.variants.iter().map(|variant| (*variant.name).clone()).collect();
            self.outside(Fact::UnknownName { kind: Kind::Variant, name: name.to_owned(), known }, None)
        })
    }

    /// What every parameter is, before overrides.
    fn values(&self, variant: Option<&Variant>) -> Values {
        let mut values = Values::from([(IP.to_owned(), ParamValue::Int(4))]);
        values.extend(self.params.iter().map(|param| ((*param.name).clone(), param.default.clone())));
        let set = variant.map_or(&[][..], |variant| &variant.set);
        values.extend(set.iter().map(|(name, value)| ((**name).clone(), value.clone())));
        values
    }

    fn override_value(&self, values: &Values, name: &str, text: &str) -> Result<ParamValue, Errors> {
        let argument = Some(format!("in `--set {name}={text}`"));
        let Some(value) = values.get(name) else {
            let known = values.keys().cloned().collect();
            return Err(self.outside(Fact::UnknownName { kind: Kind::Param, name: name.to_owned(), known }, argument));
        };
        match value.same_type(text) {
            Some(value) if name != IP || is_ip_version(&value) => Ok(value),
            _ => {
                let any = format!("{} for the parameter `{name}`", value.type_name());
                let expected = if name == IP { IP_VERSIONS.to_owned() } else { any };
                Err(self.outside(Fact::BadValue { found: text.to_owned(), expected }, argument))
            }
        }
    }

    /// The tree of a variant, its parameters still in it.
    fn resolved(&self, variant: Option<&Variant>) -> Table {
        let mut root = self.root.clone();
        for key in ["params", "variant", "sweep"] {
            root.remove(key);
        }
        let Some(variant) = variant else { return root };
        for (key, node) in &variant.expect {
            if let Some(expect) = root.table_mut("expect", &node.span) {
                expect.set(key, node.clone());
            }
        }
        let steps = root.get_mut("script").and_then(|script| match &mut script.value {
            Value::Table(table) => table.get_mut("steps"),
            _ => None,
        });
        if let Some(Node { value: Value::List(steps), .. }) = steps {
            for step in steps {
                let Value::Table(step) = &mut step.value else { continue };
                let name = ["as", "name"].iter().find_map(|key| step.get(key)?.text());
                let result = variant.result.iter().find(|(of, _)| Some(of.as_str()) == name);
                if let Some((_, result)) = result {
                    step.set("result", result.clone());
                }
            }
        }
        root
    }

    fn set_sysctl(&self, root: &mut Table, host: &str, name: &str, value: &str) -> Result<(), Errors> {
        let argument = Some(format!("in `--sysctl {host}:{name}={value}`"));
        let hosts = root.get("hosts").and_then(Node::table);
        let known = hosts.map_or_else(Vec::new, |hosts| hosts.entries.iter().map(|entry| entry.key.clone()).collect());
        let Some(Node { value: Value::Table(table), .. }) =
            root.table_mut("hosts", &(0..0)).and_then(|hosts| hosts.get_mut(host))
        else {
            let fact = Fact::UnknownName { kind: Kind::Host, name: host.to_owned(), known };
            return Err(self.outside(fact, argument));
        };
        if table.get("profile").is_none() {
            let why = "it has no profile, so it has no sysctls".to_owned();
            return Err(self.outside(Fact::NotApplicable { what: host.to_owned(), why }, argument));
        }
        // The whole name as one key stands behind the file's own settings, so it wins.
        let node = Node::new(Value::Text(value.replace('$', "$$")), 0..0);
        match table.table_mut("sysctl", &(0..0)) {
            Some(sysctls) => sysctls.set(name, node),
            None => return Err(self.outside(Fact::Syntax("`sysctl` is no table".to_owned()), argument)),
        }
        Ok(())
    }

    fn build(&self, mut root: Table, variant: Option<&Variant>, values: Values, sink: &mut Sink) -> Option<Instance> {
        let before = sink.mistakes.len();
        substitute(&mut root, &values, sink);
        // Whoever sets it has checked that it is one of the two.
        let ip = if values.get(IP) == Some(&ParamValue::Int(6)) { IpVersion::V6 } else { IpVersion::V4 };
        let frame = Frame {
            variant: variant.map(|variant| (*variant.name).clone()),
            params: values.into_iter().collect(),
            ip,
            file: Arc::clone(&self.file),
        };
        // A parameter that is not known would be a mistake of another kind in each place where it is used.
        if sink.mistakes.len() == before { read_instance(root, frame, sink) } else { None }
    }

    /// Checks every run the file describes; `sink` holds what was found in its head.
    fn check(&self, mut sink: Sink) -> Result<(), Errors> {
        let base = self.build(self.resolved(None), None, self.values(None), &mut sink);
        if let Some(base) = base {
            self.check_names(&base, &mut sink);
        }
        if sink.mistakes.is_empty() {
            for variant in self.variants.iter().take(self.checked()) {
                self.build(self.resolved(Some(variant)), Some(variant), self.values(Some(variant)), &mut sink);
            }
        }
        if let Some(sweep) = self.sweep.as_ref().filter(|_| sink.mistakes.is_empty()) {
            self.check_sweep(sweep, &mut sink);
        }
        if sink.mistakes.is_empty() { Ok(()) } else { Err(Errors::of(place(sink, &self.file))) }
    }

    /// How many further runs of the file are built to check them.
    fn checked(&self) -> usize {
        limit::CHECKED / self.file.text.len().max(1)
    }

    /// Each value of each axis must make a run.
    fn check_sweep(&self, sweep: &Sweep, sink: &mut Sink) {
        for (name, axis) in &sweep.over {
            let Axis::Values(list) = axis else { continue };
            for value in list.iter().take(self.checked()) {
                let mut values = self.values(None);
                values.extend(sweep.set.iter().map(|(name, value)| ((**name).clone(), value.clone())));
                values.insert((**name).clone(), value.clone());
                self.build(self.resolved(None), None, values, sink);
                if !sink.mistakes.is_empty() {
                    return;
                }
            }
        }
    }

    /// The names that variants and the sweep use.
    fn check_names(&self, base: &Instance, sink: &mut Sink) {
        let steps: Vec<String> = base.steps.iter().filter_map(|step| Some((**step.name.as_ref()?).clone())).collect();
        for (name, _) in self.variants.iter().flat_map(|variant| &variant.result) {
            if !steps.contains(name) {
                let fact = Fact::UnknownName { kind: Kind::Step, name: (**name).clone(), known: steps.clone() };
                sink.place(name.span(), fact);
            }
        }
    }

    fn outside(&self, fact: Fact, note: Option<String>) -> Errors {
        Error { fact: Box::new(fact), span: None, note, source: Arc::clone(&self.file) }.into()
    }
}

/// Reads what all runs of a file share; `None` where the rest cannot be judged without it.
fn header(root: Table, file: &Arc<Source>, sink: &mut Sink) -> Option<Scenario> {
    let node = Node::new(Value::Table(root), 0..0);
    let mut fields = Fields::of(&node, "a scenario", sink)?;
    fields.knows(&["hosts", "links", "network", "script", "load", "fault", "expect", "until"]);
    let format: Option<i64> = fields.need("format");
    if let Some(found) = format.filter(|format| *format != 1) {
        // Whatever else stands there follows rules that are not known here.
        let node = fields.node("format")?;
        fields.sink.at(node, Fact::Format { found: found.to_string() });
        return None;
    }
    let title: Option<String> = fields.need("title");
    let source = fields.or("source", String::new());
    let (topic, story) = (fields.or("topic", String::new()), fields.or("story", String::new()));
    let params = fields.node("params").map(|node| params(node, fields.sink)).unwrap_or_default();
    let variants = fields.node("variant").map(|node| variants(node, fields.sink)).unwrap_or_default();
    let sweep = fields.node("sweep").and_then(|node| sweep(node, fields.sink));
    fields.finish();
    let known: Vec<String> = params.iter().map(|param| (*param.name).clone()).chain([IP.to_owned()]).collect();
    for used in std::mem::take(&mut sink.used) {
        if used.kind == Kind::Param && !known.contains(&used.name) {
            let fact = Fact::UnknownName { kind: Kind::Param, name: used.name, known: known.clone() };
            sink.place(used.span, fact);
        }
    }
    super::check::check_unique(std::mem::take(&mut sink.given), file, sink);
    let Value::Table(root) = node.value else { return None };
    let title = title.unwrap_or_default();
    let scenario = Scenario { title, source, topic, story, params, variants, sweep, root, file: Arc::clone(file) };
    // A parameter that is misread would be missing wherever it is used.
    let misread = scenario.root.get("params").and_then(Node::table).map_or(0, |table| table.entries.len());
    (misread == scenario.params.len()).then_some(scenario)
}

/// Mistakes with their file. Those of the head and of its uses come once.
fn place(sink: Sink, file: &Arc<Source>) -> Vec<Error> {
    let error = |Mistake { fact, span, note }| {
        let (fact, source) = (Box::new(fact), Arc::clone(file));
        Error { fact, span: Some(span), note, source }
    };
    sink.mistakes.into_iter().map(error).collect()
}
