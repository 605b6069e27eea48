//! Shows the linker where `memory.x` is.

fn main() {
    let set = |name| std::env::var(name).expect("cargo sets it");
    let board = match set("CARGO_CFG_TARGET_ARCH").as_str() {
        "riscv32" => "virt",
        _ => "mps2",
    };
    println!(
        "cargo:rustc-link-search={}/{board}",
        set("CARGO_MANIFEST_DIR")
    );
    println!("cargo:rerun-if-changed={board}/memory.x");
}
