//! Several servers behind one database. The kernel that tests have is one server, so two relays before it answer as two
//! nodes of a cluster do.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, Session, oceanbase, postgres18};
use millrace_tests::{Arm, Cluster, ClusterKind, Fault, Millrace, Proxy, Told};

use crate::{QUICKSTART, millrace};

/// A table that is to be rebuilt, an account that writes to it, and Millrace connected to the first node.
struct TwoNodes {
    cluster: Cluster,
    target: Database,
    account: String,
    /// The account's URL, at the server itself.
    account_url: String,
    millrace: Millrace,
    pipeline: String,
}

impl TwoNodes {
    /// `fence`: the switcher's keys, in which `ACCOUNT` stands for the account.
    async fn open(kind: ClusterKind, fence: &str) -> Result<Self> {
        let source = postgres18().fresh_database("nodes").await?;
        source
            .run_sql("CREATE TABLE item (id integer PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a')")
            .await?;
        let target = oceanbase().fresh_database("nodes").await?;
        target.run_sql("CREATE TABLE item (id int PRIMARY KEY)").await?;
        let account = format!("app_{}", target.name);
        let account_url = target.create_account(&account, "ALL").await?;
        let cluster = Cluster::start(&target.url, kind).await?;
        let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &cluster.first(&target.url)?);
        let text = std::fs::read_to_string(QUICKSTART)?;
        let switcher = format!("plugin = \"switch-rename\"\n{}", fence.replace("ACCOUNT", &account));
        let pipeline = millrace.write("nodes.toml", &text.replace("plugin = \"switch-rename\"", &switcher));
        Ok(Self { cluster, target, account, account_url, millrace, pipeline })
    }

    /// A session of the account on the second node.
    async fn session(&self) -> Result<Session> {
        Ok(Session::open(&self.cluster.second(&self.account_url)?).await?)
    }

    async fn is_locked(&self) -> Result<bool> {
        let query = format!("SELECT account_locked FROM mysql.user WHERE user = '{}'", self.account);
        let rows = self.target.query_text(&query).await?;
        Ok(rows.first().context("the account")?[0].as_deref() == Some("Y"))
    }

    async fn is_switched(&self) -> Result<bool> {
        Ok(self.target.query_text("SELECT name FROM item").await.is_ok())
    }
}

const BY_ACCOUNTS: &str = "fence = \"accounts\"\naccounts = [\"ACCOUNT\"]\nattempts = 1";

#[tokio::test]
async fn a_writer_on_another_of_two_relayed_nodes_is_kept_off_by_a_locked_account() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Direct, BY_ACCOUNTS).await?;
    let mut writer = nodes.session().await?;
    writer.run("DELETE FROM item WHERE id = 7").await?;
    let ran = nodes.millrace.run(&["run", &nodes.pipeline, "--yes", "--json"]).await?.expect(0)?;
    let fence = ran.json()?["report"]["switch"]["fence"].as_str().unwrap_or_default().to_owned();
    assert_eq!(fence, format!("accounts locked: {}, 1 session ended", nodes.account));
    assert!(writer.run("DELETE FROM item WHERE id = 7").await.is_err(), "its session went on writing");
    assert!(nodes.is_switched().await? && !nodes.is_locked().await?);
    Ok(())
}

#[tokio::test]
async fn a_session_that_the_other_of_two_relayed_nodes_does_not_end_is_no_fence() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Stubborn, BY_ACCOUNTS).await?;
    let mut writer = nodes.session().await?;
    let ran = nodes.millrace.run(&["run", &nodes.pipeline, "--yes", "--json"]).await?;
    let node = format!("on 127.0.0.1:{}", nodes.cluster.node(1)?.port());
    ran.fails_with("switch.sessions-stay")?.says(&nodes.account)?.says(&node)?;
    writer.run("DELETE FROM item WHERE id = 7").await?;
    assert!(!nodes.is_locked().await? && !nodes.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn accounts_are_no_fence_behind_a_relay_that_numbers_sessions_as_a_proxy_does() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::BehindProxy, BY_ACCOUNTS).await?;
    nodes.millrace.run(&["check", &nodes.pipeline, "--json"]).await?.expect(1)?.fails_with("switch.no-fence")?;
    let ran = nodes.millrace.run(&["run", &nodes.pipeline, "--yes", "--json"]).await?.expect(1)?;
    ran.fails_with("switch.no-fence")?.says("ends at a proxy")?;
    assert!(!nodes.is_locked().await? && !nodes.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn accounts_are_no_fence_where_relayed_nodes_do_not_list_each_others_sessions() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Silent, &BY_ACCOUNTS.replace("\"accounts\"", "\"auto\"")).await?;
    let mut writer = nodes.session().await?;
    let ran = nodes.millrace.run(&["run", &nodes.pipeline, "--yes", "--json"]).await?.expect(0)?;
    let fence = ran.json()?["report"]["switch"]["fence"].as_str().unwrap_or_default().to_owned();
    assert!(fence.starts_with("nothing but the rename itself") && fence.contains("one of several"), "{fence}");
    writer.run("DELETE FROM item WHERE id = 7").await?;
    assert!(nodes.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn a_rename_of_a_dead_process_may_be_at_the_other_of_two_relayed_nodes_that_does_not_list_it() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Silent, "budget = \"300ms\"").await?;
    let entry = ("MILLRACE_HOLD_AT", "action-started@switch:rename");
    let mut held = nodes.millrace.spawn_with(&["run", &nodes.pipeline, "--yes"], &[entry])?;
    held.says("held at").await?;
    held.kill().await?;
    let refused = nodes.millrace.run(&["rollback", "last", "--json"]).await?;
    refused.fails_with("switch.rename-in-doubt")?;
    // Allowed to see the sessions of all nodes, it finds none at it.
    let telling = Cluster::start(&nodes.target.url, ClusterKind::Direct).await?;
    let millrace = nodes.millrace.with("MILLRACE_TARGET_URL", &telling.first(&nodes.target.url)?);
    millrace.run(&["rollback", "last"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn accounts_are_no_fence_for_an_account_that_is_not_shown_the_sessions_of_others() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Direct, BY_ACCOUNTS).await?;
    let user = format!("mover_{}", nodes.target.name);
    let url = nodes.target.create_account(&user, "ALL").await?;
    nodes.target.run_sql(&format!("GRANT CREATE USER ON *.* TO {user}; GRANT SELECT ON mysql.* TO {user}")).await?;
    let millrace = nodes.millrace.with("MILLRACE_TARGET_URL", &url);
    let ran = millrace.run(&["run", &nodes.pipeline, "--yes", "--json"]).await?.expect(1)?;
    ran.fails_with("switch.no-fence")?.says("PROCESS")?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_died_silently_is_found_dead_by_the_other_of_two_relayed_nodes() -> Result<()> {
    let nodes = TwoNodes::open(ClusterKind::Direct, "").await?;
    let (first, second) = (nodes.cluster.first(&nodes.target.url)?, nodes.cluster.second(&nodes.target.url)?);
    // What stands before the nodes leads to the first one, and from the accident on to the second.
    let balancer = Proxy::start(&first, 0).await?;
    balancer.arm([Arm::next("insert into `item_tmp_", Fault::HalfOpen)]);
    let millrace = nodes.millrace.with("MILLRACE_TARGET_URL", &balancer.url(&nodes.target.url)?);
    let text = std::fs::read_to_string(&nodes.pipeline)?;
    let patient = text.replace("_TARGET_URL}\"", "_TARGET_URL}\"\npatience = \"500ms\"");
    std::fs::write(&nodes.pipeline, patient)?;
    let running = millrace.spawn(&["run", &nodes.pipeline, "--yes", "--json"])?;
    for _ in 0..6_000 {
        if balancer.fired() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(balancer.fired(), 1, "nothing was copied");
    balancer.redirect(&second)?;
    let ran = tokio::time::timeout(Duration::from_secs(60), running.finish()).await.context("it waits for ever")??;
    Told::read(&ran.expect(0)?.json()?)?.every_digest_is_equal()
}
