//! Who may read what Millrace leaves on a disk: rows of tables are in all of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::{QUICKSTART, Shop};

/// Lets everybody do everything with new files, unless they say otherwise.
const OPEN: &str = "umask 000";

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// Demands that nobody but its owner may do anything with what is in a folder, the folder included. Links lead out of it.
fn is_closed(folder: &Path) -> Result<()> {
    ensure!(mode(folder)? == 0o700, "{} has mode {:o}", folder.display(), mode(folder)?);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            is_closed(&path)?;
        } else if kind.is_file() {
            ensure!(mode(&path)? == 0o600, "{} has mode {:o}", path.display(), mode(&path)?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn nobody_else_can_read_the_rows_in_the_state_a_report_a_plan_or_an_export_whatever_the_umask() -> Result<()> {
    let shop = Shop::open(20).await?;
    let (millrace, state) = (&shop.millrace, shop.millrace.state());
    // The harness has made it for the link in it: a state of Millrace's own making begins below it.
    set_mode(&state, 0o700)?;
    millrace.run_after_saying(OPEN, &["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    is_closed(&state)?;

    for arguments in [["report", "last"].as_slice(), &["rejects", "last", "--format", "csv"]] {
        let out = millrace.folder().join(arguments[0]);
        let to = ["--out", out.to_str().expect("a temporary path is UTF-8")];
        millrace.run_after_saying(OPEN, &[arguments, &to].concat()).await?.expect(0)?;
        ensure!(mode(&out)? == 0o600, "{} has mode {:o}", out.display(), mode(&out)?);
        // A file that its owner has made for others stays one.
        set_mode(&out, 0o640)?;
        millrace.run_after_saying(OPEN, &[arguments, &to].concat()).await?.expect(0)?;
        ensure!(mode(&out)? == 0o640, "{} has mode {:o}", out.display(), mode(&out)?);
    }

    // A plan names rows that applications wrote by their keys.
    let plan = millrace.folder().join("plan");
    let out = ["plan", QUICKSTART, "--out", plan.to_str().expect("a temporary path is UTF-8")];
    millrace.run_after_saying(OPEN, &out).await?.expect(0)?;
    is_closed(&plan)?;

    let elsewhere = millrace.folder().join("new/deep");
    let elsewhere = elsewhere.to_str().expect("a temporary path is UTF-8");
    millrace.run_after_saying(OPEN, &["--state", elsewhere, "runs"]).await?.expect(0)?;
    is_closed(&millrace.folder().join("new"))?;

    // As earlier versions left it.
    for name in ["", "state.db", "opening.lock", "runs"] {
        set_mode(&state.join(name), if name.contains('.') { 0o644 } else { 0o755 })?;
    }
    millrace.run_after_saying(OPEN, &["runs"]).await?.expect(0)?;
    is_closed(&state)?;

    // A folder with other things in it is somebody's, and so are they; the state in it is not.
    fs::write(state.join("notes"), "for all")?;
    set_mode(&state, 0o755)?;
    set_mode(&state.join("notes"), 0o644)?;
    set_mode(&state.join("state.db"), 0o644)?;
    millrace.run_after_saying(OPEN, &["runs"]).await?.expect(0)?;
    let modes = [mode(&state)?, mode(&state.join("notes"))?, mode(&state.join("state.db"))?];
    ensure!(modes == [0o755, 0o644, 0o600], "{modes:?}");
    Ok(())
}
