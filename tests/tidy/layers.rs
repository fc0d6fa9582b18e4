//! Who may import whom: the top-level modules of the library, in layers.

use super::finding::Finding;
use super::tokens::{elements, group, heads, is_ident, is_path_start, is_punct, level, line};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;

/// The layers, lowest first. A module imports only from lower layers, and from its own where siblings may meet.
const LAYERS: [(&str, &[&str], Siblings); 8] = [
    ("ground", &["time", "rng", "choice", "few", "map", "shelf", "slab"], Siblings::Meet),
    ("words", &["wire", "endpoint"], Siblings::Meet),
    ("protocol", &["tcp", "net"], Siblings::Blind),
    ("hosts", &["host", "middlebox"], Siblings::Blind),
    ("engine", &["sim", "trace", "oracle"], Siblings::Meet),
    ("story", &["scenario"], Siblings::Blind),
    ("fronts", &["drill", "golden", "matrix", "explore", "sweep"], Siblings::Blind),
    ("edges", &["adapters", "report", "cli"], Siblings::Meet),
];

/// Whether modules of one layer may import each other (never in a circle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Siblings {
    Meet,
    Blind,
}

/// One mention of a top-level module in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) path: String,
    pub(crate) line: usize,
}

/// Names that the root re-exports, each with the top-level module it comes from: `crate::ms` is a mention of `time`.
pub(crate) type Faces = BTreeMap<String, String>;

/// Reads the `pub use module::{…}` of src/lib.rs.
pub(crate) fn faces(root: &TokenStream) -> Faces {
    let tokens = level(root);
    let mut faces = Faces::new();
    for at in 0..tokens.len() {
        if is_ident(tokens.get(at), "use") {
            let end = tokens[at..].iter().position(|token| is_punct(Some(token), ';')).map_or(tokens.len(), |n| at + n);
            let tree = &tokens[at + 1..end];
            let tree =
                if is_path_start(tree, 0, "crate") || is_path_start(tree, 0, "self") { &tree[3..] } else { tree };
            for (module, _) in heads(tree, 0).into_iter().take(1) {
                faces.extend(leaves(tree).into_iter().map(|name| (name, module.clone())));
            }
        }
    }
    faces
}

/// The names a use tree brings into scope.
fn leaves(tree: &[TokenTree]) -> Vec<String> {
    match tree.last() {
        Some(TokenTree::Ident(ident)) => vec![ident.to_string()],
        Some(TokenTree::Group(list)) => elements(&list.stream()).iter().flat_map(|element| leaves(element)).collect(),
        _ => Vec::new(),
    }
}

/// Every mention of a top-level module in one file of the library: `crate::…`, and `super::…` that climbs to the root.
/// The roots (src/lib.rs, src/main.rs, src/bin/) stand above all layers.
pub(crate) fn imports(path: &str, tokens: &TokenStream, faces: &Faces) -> Vec<Import> {
    let module = module_path(path);
    let Some(from) = module.first() else { return Vec::new() };
    let mut mentions = Vec::new();
    climb(tokens, module.len(), &mut mentions);
    let resolve = |name: String| faces.get(&name).filter(|_| layer(&name).is_none()).cloned().unwrap_or(name);
    let imports = mentions.into_iter().map(|(name, line)| (resolve(name), line)).filter(|(to, _)| to != from);
    imports.map(|(to, line)| Import { from: from.clone(), to, path: path.to_owned(), line }).collect()
}

/// The modules a file is in, outermost first; none for a root.
fn module_path(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")).unwrap_or("");
    let mut parts: Vec<String> = inside.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if parts.len() > 1 && parts.last().is_some_and(|part| part == "mod") {
        parts.pop();
    }
    let is_root = matches!(inside, "lib" | "main") || parts.first().is_some_and(|part| part == "bin");
    if is_root { Vec::new() } else { parts }
}

/// Collects the names said of the root in `stream`, code that lies `depth` modules below it.
fn climb(stream: &TokenStream, depth: usize, mentions: &mut Vec<(String, usize)>) {
    let tokens = level(stream);
    for at in 0..tokens.len() {
        if is_path_start(&tokens, at, "crate") {
            mentions.extend(heads(&tokens, at + 3));
        } else if is_ident(tokens.get(at), "crate") && is_ident(tokens.get(at + 1), "as") {
            mentions.push(("*".to_owned(), line(&tokens[at])));
        } else if is_path_start(&tokens, at, "super") && !(at >= 3 && is_path_start(&tokens, at - 3, "super")) {
            let steps = (at..tokens.len()).step_by(3).take_while(|&at| is_path_start(&tokens, at, "super")).count();
            // `use super::*` in the tests of src/time.rs reaches `time`; in src/time.rs itself it would reach the root.
            if steps == depth {
                mentions.extend(heads(&tokens, at + 3 * steps));
            }
        }
        if let TokenTree::Group(inner) = &tokens[at] {
            let is_module = at >= 2
                && is_ident(tokens.get(at - 2), "mod")
                && group(tokens.get(at), Delimiter::Brace).is_some()
                && matches!(tokens[at - 1], TokenTree::Ident(_));
            climb(&inner.stream(), depth + usize::from(is_module), mentions);
        }
    }
}

/// Imports that point upwards, sideways where siblings are blind, or at nothing the layers know.
pub(crate) fn directions(imports: &[Import]) -> Vec<Finding> {
    imports.iter().filter_map(direction).collect()
}

fn direction(import: &Import) -> Option<Finding> {
    let Import { from, to, path, line } = import;
    let finding = |what: String, way_out: &str| Some(Finding::new(path, *line, what, way_out));
    if to == "*" || to == "self" {
        return finding(format!("`{from}` imports the whole root"), "name the modules: `use crate::{time, wire}`");
    }
    // A file without a layer is reported once, by `unplaced`.
    let (below, siblings) = layer(from)?;
    let Some((above, _)) = layer(to) else {
        let what =
            format!("`{from}` mentions `crate::{to}`, neither a module with a layer nor a re-export of src/lib.rs");
        return finding(
            what,
            "import it from the module it lives in, or give the module a layer in tests/tidy/layers.rs",
        );
    };
    let names = (LAYERS[below].0, LAYERS[above].0);
    if above > below {
        let what = format!("`{from}` (layer {below}, {}) imports `{to}` (layer {above}, {})", names.0, names.1);
        finding(what, "move the shared type down to the layer both may see, or hand the value in from above")
    } else if above == below && siblings == Siblings::Blind {
        let what = format!("`{from}` imports `{to}`, its sibling in layer {below} ({})", names.0);
        finding(
            what,
            "siblings of this layer never see each other: move what they share down a layer, or join them above",
        )
    } else {
        None
    }
}

/// Circles among the top-level modules, each once, at the import that closes it.
pub(crate) fn circles(imports: &[Import]) -> Vec<Finding> {
    let mut graph: BTreeMap<&str, BTreeMap<&str, &Import>> = BTreeMap::new();
    for import in imports {
        graph.entry(&import.from).or_default().entry(&import.to).or_insert(import);
    }
    let mut search = Search { graph: &graph, trail: Vec::new(), done: Vec::new(), found: Vec::new() };
    for module in graph.keys() {
        search.visit(module);
    }
    search.found
}

/// A depth-first search: the modules being visited, those finished, and what came of it.
struct Search<'a> {
    graph: &'a BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>,
    trail: Vec<&'a str>,
    done: Vec<&'a str>,
    found: Vec<Finding>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, module: &'a str) {
        if self.done.contains(&module) {
            return;
        }
        self.trail.push(module);
        for (&to, import) in self.graph.get(module).into_iter().flatten() {
            if let Some(start) = self.trail.iter().position(|&seen| seen == to) {
                let circle = [&self.trail[start..], &[to]].concat().join(" -> ");
                let way_out = "move what both need into the lower of the two, or into a module below both";
                self.found.push(Finding::new(&import.path, import.line, format!("import circle {circle}"), way_out));
            } else {
                self.visit(to);
            }
        }
        self.trail.pop();
        self.done.push(module);
    }
}

/// Files and folders directly under src/ that no layer lists.
pub(crate) fn unplaced(paths: &[String]) -> Vec<Finding> {
    let mut first_files: BTreeMap<String, &String> = BTreeMap::new();
    for path in paths {
        if let Some(module) = module_path(path).into_iter().next().filter(|module| layer(module).is_none()) {
            first_files.entry(module).or_insert(path);
        }
    }
    let finding = |(module, path): (String, &String)| {
        let way_out = "put it inside a module that has a layer, or list it in LAYERS in tests/tidy/layers.rs";
        Finding::new(path, 1, format!("the top-level module `{module}` has no layer"), way_out)
    };
    first_files.into_iter().map(finding).collect()
}

fn layer(module: &str) -> Option<(usize, Siblings)> {
    let is_in = |(_, modules, _): &(&str, &[&str], Siblings)| modules.contains(&module);
    LAYERS.iter().position(is_in).map(|number| (number, LAYERS[number].2))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::lex;
    use super::*;

    fn mentions(path: &str, text: &str) -> Vec<String> {
        let faces =
            faces(&lex("src/lib.rs", "pub mod time; pub use time::{ms, secs as seconds}; pub use crate::sim::Sim;"));
        imports(path, &lex(path, text), &faces).into_iter().map(|import| import.to).collect()
    }

    fn verdicts(path: &str, text: &str) -> Vec<String> {
        let imports = imports(path, &lex(path, text), &Faces::new());
        directions(&imports).into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    fn edges(pairs: &[(&str, &str)]) -> Vec<Import> {
        let import = |&(from, to): &(&str, &str)| {
            let path = format!("src/{from}.rs");
            Import { from: from.to_owned(), to: to.to_owned(), path, line: 1 }
        };
        pairs.iter().map(import).collect()
    }

    #[test]
    fn every_way_to_say_a_module_is_seen() {
        assert_eq!(mentions("src/tcp/mod.rs", "use crate::wire::Seq;"), ["wire"]);
        assert_eq!(
            mentions("src/tcp/mod.rs", "pub(crate) use crate::{time::{a, b}, map::Map, tcp::c};"),
            ["time", "map"]
        );
        assert_eq!(mentions("src/tcp/rto.rs", "fn f() -> crate::time::Span { vec![crate::net::X] }"), ["time", "net"]);
        assert_eq!(mentions("src/tcp/rto.rs", "macro_rules! m { () => { $crate::wire::X } }"), ["wire"]);
        assert_eq!(mentions("src/tcp/rto.rs", "use super::super::net::X; use super::y;"), ["net"]);
        assert_eq!(
            mentions("src/tcp/rto.rs", "mod tests { use super::super::super::{net, wire}; use super::super::z; }"),
            ["net", "wire"]
        );
        assert_eq!(mentions("src/time.rs", "use super::rng; mod tests { use super::*; }"), ["rng"]);
        assert_eq!(
            mentions("src/tcp/mod.rs", "use crate::*; use crate as root; use crate::{self as r};"),
            ["*", "*", "self"]
        );
    }

    #[test]
    fn text_is_no_import() {
        assert!(
            mentions(
                "src/tcp/mod.rs",
                "//! [`crate::sim`]\n/// crate::sim\n// crate::net\nconst A: &str = \"crate::net\";"
            )
            .is_empty()
        );
        assert!(mentions("src/tcp/mod.rs", "pub(crate) struct A; use std::env;").is_empty());
    }

    #[test]
    fn a_face_of_the_root_is_its_module() {
        assert_eq!(
            mentions("src/tcp/mod.rs", "use crate::{ms, seconds, Sim, unknown};"),
            ["time", "time", "sim", "unknown"]
        );
    }

    #[test]
    fn roots_stand_above_all_layers() {
        for root in ["src/lib.rs", "src/main.rs", "src/bin/other.rs"] {
            assert!(mentions(root, "use crate::cli::run;").is_empty(), "{root}");
        }
    }

    #[test]
    fn downwards_is_fine() {
        assert!(verdicts("src/host/mod.rs", "use crate::{tcp, net, wire, time};").is_empty());
        assert!(verdicts("src/cli/mod.rs", "use crate::{explore, report, sim};").is_empty());
        assert!(verdicts("src/oracle/mod.rs", "use crate::trace;").is_empty());
        assert!(verdicts("src/choice.rs", "use crate::rng::Stream;").is_empty());
    }

    #[test]
    fn upwards_and_blind_siblings_are_found() {
        assert_eq!(
            verdicts("src/tcp/a.rs", "\nuse crate::sim::X;"),
            ["2: `tcp` (layer 2, protocol) imports `sim` (layer 4, engine)"]
        );
        assert_eq!(
            verdicts("src/time.rs", "use crate::wire;"),
            ["1: `time` (layer 0, ground) imports `wire` (layer 1, words)"]
        );
        for (from, to) in
            [("tcp", "net"), ("net", "tcp"), ("host", "middlebox"), ("middlebox", "host"), ("drill", "sweep")]
        {
            let found = verdicts(&format!("src/{from}/mod.rs"), &format!("use crate::{to}::X;"));
            assert!(found.len() == 1 && found[0].contains("its sibling"), "{from} -> {to}: {found:?}");
        }
        assert_eq!(verdicts("src/tcp/a.rs", "use crate::*;"), ["1: `tcp` imports the whole root"]);
        assert!(verdicts("src/tcp/a.rs", "use crate::nowhere::X;")[0].contains("neither a module with a layer"));
    }

    #[test]
    fn circles_are_found_and_chains_are_not() {
        assert!(circles(&edges(&[("sim", "trace"), ("oracle", "trace"), ("sim", "oracle")])).is_empty());
        let found = circles(&edges(&[("sim", "trace"), ("trace", "oracle"), ("oracle", "sim"), ("cli", "sim")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].what, "import circle sim -> trace -> oracle -> sim");
    }

    #[test]
    fn a_module_without_a_layer_is_found_once() {
        let paths = ["src/lib.rs", "src/time.rs", "src/odd/a.rs", "src/odd/mod.rs", "src/stray.rs", "src/tcp/odd.rs"];
        let found = unplaced(&paths.map(str::to_owned));
        let places: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(places, ["src/odd/a.rs", "src/stray.rs"]);
    }
}
