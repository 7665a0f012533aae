//! Gathers the pages of `millrace explain` into a table.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new("src/explain");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut pages: Vec<_> = fs::read_dir(folder)
        .expect("the folder of pages is there")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.sort();
    let mut table = String::from("pub(super) static PAGES: &[(&str, &str)] = &[\n");
    for page in pages {
        let code = page.file_stem().expect("a page has a name").to_string_lossy().into_owned();
        let path = fs::canonicalize(&page).expect("the page is there");
        writeln!(table, "    ({code:?}, include_str!({path:?})),").expect("writing to a string");
    }
    table.push_str("];\n");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("pages.rs"), table).expect("OUT_DIR is writable");
}
