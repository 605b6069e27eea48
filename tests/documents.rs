//! What the documents say of the code is so.

use std::fs::read_to_string;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn document(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn s01_the_architecture_shows_the_transition_table() {
    let architecture = document("ARCHITECTURE.md");
    let picture = tenure_core::state::Picture.to_string();
    assert!(
        architecture.contains(&picture),
        "ARCHITECTURE.md should contain:\n{picture}"
    );
}

#[test]
fn the_readme_names_the_test_command_on_a_line_of_its_own() {
    let readme = document("README.md");
    let command = "cargo test --workspace --all-features";
    assert!(readme.lines().any(|line| line.trim().starts_with(command)));
}

/// A proof is a link ``[`name`](file)``: the file has to be there, and the test in it.
#[test]
fn every_proof_that_the_readme_links_is_a_test() {
    let readme = document("README.md");
    let mut proofs = 0;
    for link in readme.split("[`").skip(1) {
        let Some((name, rest)) = link.split_once("`](") else {
            continue;
        };
        let Some((file, _)) = rest.split_once(')') else {
            continue;
        };
        let is_test = file.starts_with("tests/") || file.contains("/tests");
        if !is_test || !file.ends_with(".rs") {
            continue;
        }
        proofs += 1;
        assert!(
            document(file).contains(&format!("fn {name}")),
            "README.md: {file} has no test {name}"
        );
    }
    assert!(proofs >= 10, "only {proofs} proofs are linked");
}
