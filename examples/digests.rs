//! Prints `NAME VARIANT SEED DIGEST` for every sim and variant under many seeds, one line a run; `-` is no variant.
//! Two processes, two machines and two build profiles print the same.

use std::io::{self, Write};

#[path = "../tests/gallery/mod.rs"]
mod gallery;

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for story in gallery::all() {
        let (name, variant) = (&story.sim, story.dashed());
        for seed in 0..story.seeds() {
            writeln!(out, "{name} {variant} {seed} {}", story.digest(seed))?;
        }
    }
    out.flush()
}
