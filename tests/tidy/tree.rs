//! The project's files: paths relative to its root, with `/`, in sorted order.

use super::tokens;
use proc_macro2::TokenStream;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that holds Cargo.toml.
pub(crate) struct Tree {
    root: PathBuf,
}

/// One Rust file, read and lexed.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: TokenStream,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), tokens: tokens::lex(path, text) }
    }
}

impl Tree {
    pub(crate) fn here() -> Self {
        Self { root: PathBuf::from(env!("CARGO_MANIFEST_DIR")) }
    }

    /// All files below `folders`; a folder that does not exist holds none.
    pub(crate) fn files(&self, folders: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for folder in folders {
            self.walk(folder, &mut found);
        }
        found.sort();
        found
    }

    pub(crate) fn sources(&self, folders: &[&str]) -> Vec<Source> {
        let files = self.files(folders).into_iter().filter(|path| path.ends_with(".rs"));
        files.map(|path| Source::new(&path, &self.read(&path))).collect()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}:1: cannot be read: {error}"))
    }

    pub(crate) fn try_read(&self, path: &str) -> Option<String> {
        self.root.join(path).exists().then(|| self.read(path))
    }

    fn walk(&self, folder: &str, found: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return };
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{folder}: cannot be listed: {error}"));
            let name = entry.file_name().into_string().unwrap_or_else(|name| panic!("{folder}/{name:?}: not UTF-8"));
            let path = format!("{folder}/{name}");
            // A crate of its own below tests/ may have built in place.
            if !Path::new(&entry.path()).is_dir() {
                found.push(path);
            } else if name != "target" {
                self.walk(&path, found);
            }
        }
    }
}

#[test]
fn the_walk_is_deep_sorted_and_relative() {
    let files = Tree::here().files(&["tests", "no-such-folder"]);
    assert!(files.contains(&"tests/tidy/tree.rs".to_owned()), "{files:?}");
    assert!(files.is_sorted());
    assert_eq!(Tree::here().try_read("no-such-file"), None);
}
