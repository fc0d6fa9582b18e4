//! Recordings of a real kernel: they load, they play, and a comparison finds each thing that differs.

use std::fs;
use std::path::PathBuf;
use wirefate::golden::{Manifest, Recording, Repeat, compare};

/// Every recording in the folder, with how its second run went.
fn recordings() -> Vec<(Recording, Repeat)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let manifest = Manifest::parse("manifest.json", &fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let recording = Recording::parse(&file.display().to_string(), &fs::read(file).unwrap()).unwrap();
        let repeat = manifest.repeat(&recording.name);
        (recording, repeat)
    };
    files.iter().map(read).collect()
}

#[test]
fn every_recording_is_its_own_match() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 172);
    for (recording, repeat) in &recordings {
        let comparison = compare(recording, recording, repeat);
        assert_eq!((comparison.differences, comparison.windows), (vec![], vec![]), "{}", recording.name);
    }
}
