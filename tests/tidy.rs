//! The rules of the house that the compiler and clippy do not know: layers, sizes, names, snapshots, the README.
//!
//! Each rule is a plain function from text to findings (in `tests/tidy/`, with its own small examples of what it
//! must and must not find); the tests here apply it to the tree. A finding names file, line, and the way out.

mod tidy {
    pub(crate) mod code;
    pub(crate) mod finding;
    pub(crate) mod layers;
    pub(crate) mod readme;
    pub(crate) mod snapshots;
    pub(crate) mod tokens;
    pub(crate) mod tree;
}

use std::fs;
use std::path::PathBuf;
use tidy::finding::{Finding, assert_none};
use tidy::tree::{Source, Tree};
use tidy::{code, layers, readme, snapshots};

/// Where Rust code of the project lives; `src` alone has the limits of size and the layers.
const CODE: [&str; 4] = ["src", "tests", "benches", "examples"];

fn in_sources(folders: &[&str], rule: impl Fn(&Source) -> Vec<Finding>) {
    let sources = Tree::here().sources(folders);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the walk over {folders:?} missed src/lib.rs");
    assert_none(sources.iter().flat_map(rule).collect());
}

#[test]
fn layers_import_only_from_below() {
    let imports = imports();
    assert!(!imports.is_empty(), "no import was seen in src/: the scanner is broken");
    assert_none(layers::directions(&imports));
}

#[test]
fn top_level_modules_have_no_import_circle() {
    assert_none(layers::circles(&imports()));
}

#[test]
fn every_top_level_module_has_a_layer() {
    let paths: Vec<String> = Tree::here().sources(&["src"]).into_iter().map(|source| source.path).collect();
    assert_none(layers::unplaced(&paths));
}

/// What our hosts do depends on no recording's name.
#[test]
fn no_recording_is_named_in_the_source() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cases");
    let names: Vec<String> = fs::read_dir(folder)
        .expect("the recordings lie there")
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    assert!(names.len() > 100, "{} recordings", names.len());
    for source in Tree::here().sources(&["src"]) {
        let mut words = source.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let named = words.find(|word| names.iter().any(|name| name == word));
        assert_eq!(named, None, "{} names a recording", source.path);
    }
}

#[test]
fn files_are_short() {
    in_sources(&["src"], |source| code::long_file(&source.path, &source.text));
}

#[test]
fn functions_are_short() {
    in_sources(&["src"], |source| code::long_functions(&source.path, &source.tokens));
}

#[test]
fn nothing_is_left_to_do() {
    in_sources(&CODE, |source| code::unfinished(&source.path, &source.tokens));
}

#[test]
fn every_lint_exception_has_a_reason() {
    in_sources(&CODE, |source| code::unreasoned(&source.path, &source.tokens));
}

#[test]
fn environment_and_threads_have_one_file_each() {
    in_sources(&["src"], |source| code::outside_world(&source.path, &source.tokens));
}

#[test]
fn file_names_say_what_is_inside() {
    let paths = Tree::here().files(&CODE);
    assert!(paths.iter().any(|path| path == "tests/tidy.rs"), "the walk missed tests/tidy.rs");
    assert_none(code::vague_names(&paths));
}

#[test]
fn no_snapshot_of_a_sim_is_orphaned() {
    let tree = Tree::here();
    assert_none(snapshots::without_sim(&tree.files(&["snapshots"]), &tree.files(&["sims"])));
}

#[test]
fn no_snapshot_of_a_test_is_orphaned() {
    let tree = Tree::here();
    let sources = tree.sources(&["src", "tests"]);
    assert_none(snapshots::without_test(&tree.files(&["src", "tests"]), &sources));
}

#[test]
fn snapshots_are_short() {
    let tree = Tree::here();
    let paths = tree.files(&["snapshots", "src", "tests"]);
    let snaps = paths.iter().filter(|path| path.ends_with(".snap"));
    assert_none(snaps.flat_map(|path| snapshots::long(path, &tree.read(path))).collect());
}

#[test]
fn readme_shows_a_real_test() {
    let tree = Tree::here();
    assert_none(readme::compare(tree.try_read(readme::PAGE).as_deref(), tree.try_read(readme::TEST).as_deref()));
}

fn imports() -> Vec<layers::Import> {
    let sources = Tree::here().sources(&["src"]);
    let root = sources.iter().find(|source| source.path == "src/lib.rs").expect("the library has a root");
    let faces = layers::faces(&root.tokens);
    sources.iter().flat_map(|source| layers::imports(&source.path, &source.tokens, &faces)).collect()
}
