//! Rebuilds when the bundled chart changes: `include_dir` cannot tell cargo on stable Rust.

fn main() {
    println!("cargo::rerun-if-changed=chart-templates");
}
