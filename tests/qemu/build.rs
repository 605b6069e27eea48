//! Shows the linker where `memory.x` is.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-search={here}/mps2");
    println!("cargo:rerun-if-changed=mps2/memory.x");
}
