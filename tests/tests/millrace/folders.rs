//! The scenarios' folders.

use anyhow::Result;
use millrace_tests::scenarios;
use tokio::sync::Semaphore;

/// How many scenarios go at once.
const AT_ONCE: usize = 3;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

#[tokio::test]
async fn every_scenario_goes_as_its_folder_says() -> Result<()> {
    let mut tasks = Vec::new();
    for scenario in scenarios()? {
        tasks.push(tokio::spawn(async move {
            let _turn = TURNS.acquire().await;
            scenario.carry_out(env!("CARGO_BIN_EXE_millrace-under-test")).await
        }));
    }
    let mut failures = Vec::new();
    for task in tasks {
        failures.extend(task.await?.err().map(|e| format!("{e:#}")));
    }
    assert!(failures.is_empty(), "{} scenarios failed:\n\n{}", failures.len(), failures.join("\n\n"));
    Ok(())
}
