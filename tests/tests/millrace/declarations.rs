//! What a table declares besides its expressions: keys, references, numbers, defaults, names, comments. The target does the
//! same, or the plan says by name what it does otherwise.

use anyhow::Result;

use crate::QUICKSTART;
use crate::shop::Shop;

/// What the plan says; then the run, and that a second one finds nothing to do.
async fn migrate(shop: &Shop) -> Result<String> {
    let plan = shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?.stdout;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(plan)
}

/// The first cell of what the target answers.
async fn ask(shop: &Shop, query: &str) -> Result<String> {
    let rows = shop.target.query_text(query).await?;
    Ok(rows.into_iter().flatten().next().flatten().unwrap_or_default())
}

/// Asserts that both sides take a statement, or that both refuse it.
async fn both(shop: &Shop, statement: &str, is_taken: bool) {
    let source = shop.source.run_sql(statement).await;
    let target = shop.target.run_sql(statement).await;
    assert_eq!(source.is_ok(), is_taken, "the source: {statement}: {source:?}");
    assert_eq!(target.is_ok(), is_taken, "the target: {statement}: {target:?}");
}

/// Asserts that each of the words stands in the plan.
fn says(plan: &str, words: &[&str]) {
    for word in words {
        assert!(plan.contains(word), "{word:?} is not said:\n{plan}");
    }
}

const REFERENCES: &str = "
    CREATE TABLE up (id integer PRIMARY KEY, up integer,
        CONSTRAINT up_own FOREIGN KEY (up) REFERENCES up ON UPDATE CASCADE ON DELETE CASCADE);
    INSERT INTO up VALUES (1, NULL), (2, 1);
    CREATE TABLE parent (a integer, b integer, name varchar(40) UNIQUE, PRIMARY KEY (a, b));
    INSERT INTO parent VALUES (1, 1, 'one');
    CREATE TABLE fully (id integer PRIMARY KEY, a integer, b integer,
        CONSTRAINT fully_p FOREIGN KEY (a, b) REFERENCES parent (a, b) MATCH FULL);
    INSERT INTO fully VALUES (1, 1, 1), (2, NULL, NULL);
    CREATE TABLE shorter (id integer PRIMARY KEY, name varchar(9),
        CONSTRAINT shorter_name FOREIGN KEY (name) REFERENCES parent (name));
    CREATE DOMAIN small AS integer;
    CREATE TABLE unproven (id integer PRIMARY KEY, n integer, m integer, s small, p integer);
    INSERT INTO unproven VALUES (1, -1, NULL, -5, 99);
    ALTER TABLE unproven ADD CONSTRAINT n_positive CHECK (n > 0) NOT VALID,
        ADD CONSTRAINT m_there NOT NULL m NOT VALID,
        ADD CONSTRAINT p_up FOREIGN KEY (p) REFERENCES up NOT VALID;
    ALTER DOMAIN small ADD CONSTRAINT small_positive CHECK (VALUE > 0) NOT VALID;
    CREATE TABLE ids (v uuid PRIMARY KEY, w uuid REFERENCES ids, label text UNIQUE);
    INSERT INTO ids VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, 'ab')";

#[tokio::test]
async fn what_a_reference_or_a_key_lets_through_is_the_same_on_both_sides_or_said() -> Result<()> {
    let shop = Shop::empty(REFERENCES).await?;
    let plan = migrate(&shop).await?;
    says(
        &plan,
        &[
            "up_own is ON UPDATE CASCADE to its own table",
            "fully_p is MATCH FULL at the source: a check",
            "foreign-key shorter.shorter_name: name is varchar(9)",
            "check public.unproven.n_positive: the check (n > 0) was added NOT VALID",
            "check public.unproven.s_small_positive",
            "not-null public.unproven.m: NOT NULL was added NOT VALID",
            "foreign-key public.unproven.p_up: it was added NOT VALID",
            "texts in keys (label) are compared without the blanks at their end",
        ],
    );
    both(&shop, "INSERT INTO fully VALUES (3, 1, NULL)", false).await;
    both(&shop, "INSERT INTO fully VALUES (4, NULL, NULL)", true).await;
    both(&shop, "INSERT INTO ids (v) VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')", false).await;
    let child = "INSERT INTO ids (v, w) VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')";
    both(&shop, child, true).await;
    let found = "SELECT COUNT(*) FROM ids WHERE v = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'";
    assert_eq!(ask(&shop, found).await?, "1");
    assert!(shop.target.run_sql("UPDATE up SET id = 9 WHERE id = 1").await.is_err(), "as the plan says");
    assert_eq!(ask(&shop, "SELECT COUNT(*) FROM unproven WHERE n = -1 AND m IS NULL AND s = -5").await?, "1");
    // A second look at both sides finds the same rows.
    shop.target.run_sql("DELETE FROM fully WHERE id = 4").await?;
    shop.source.run_sql("DELETE FROM fully WHERE id = 4").await?;
    shop.millrace.run(&["validate", QUICKSTART, "--level", "comprehensive"]).await?.expect(0)?;
    Ok(())
}

/// Each column's default, and the value that a row of the source gets by it.
const DEFAULTS: &str = "
    CREATE TABLE defaults (id integer PRIMARY KEY, a integer DEFAULT 2.5, b numeric(10,2) DEFAULT 1.239,
        c numeric(5,-2) DEFAULT 12345, d varchar(20) DEFAULT 5, e varchar(20) DEFAULT true, f varchar(20) DEFAULT 1.50,
        g varchar(20) DEFAULT 'abcdef'::varchar(3), h date DEFAULT '2020-01-02 10:00:00'::timestamp,
        i timestamp DEFAULT '2020-01-01'::date, j bit(4) DEFAULT B'0101', k integer DEFAULT 7 / 2,
        l varchar(20) DEFAULT 1e20::float8, m uuid DEFAULT 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
        n timestamp(0) DEFAULT '2020-01-01 00:00:00.6', o real DEFAULT 0.1, p char(5) DEFAULT 'ab', q bigint DEFAULT 60 * 60 * 24,
        r timestamptz(3) DEFAULT '2020-01-01 00:00:00.1239+00', s time(0) DEFAULT '10:00:00.5', t inet DEFAULT '10.0.0.1',
        u double precision DEFAULT 1e-7, v boolean DEFAULT 'on', w numeric DEFAULT 7);
    INSERT INTO defaults (id) VALUES (1);
    CREATE TABLE rounded (id integer PRIMARY KEY, a timestamp(0), b timestamptz(3), c time(0), d numeric(5,-2));
    INSERT INTO rounded VALUES (1, '2020-01-01 23:59:59.6', '2020-01-01 00:00:00.1239+00', '10:00:00.5', 12345);
    CREATE TABLE counted (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 10 MAXVALUE 5000 CYCLE) PRIMARY KEY);
    CREATE SEQUENCE plain_id;
    CREATE TABLE plain (id numeric(20) DEFAULT nextval('plain_id') PRIMARY KEY);
    ALTER SEQUENCE plain_id OWNED BY plain.id; INSERT INTO plain DEFAULT VALUES;
    CREATE TABLE keyed (id integer GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY, n integer NOT NULL, a varchar(16000),
        addr inet UNIQUE, z timestamptz);
    INSERT INTO keyed (n, a, addr) VALUES (1, 'x', '10.0.0.1');
    CREATE INDEX keyed_utc ON keyed ((z AT TIME ZONE 'UTC')); CREATE UNIQUE INDEX keyed_n ON keyed ((n::bigint));
    CREATE INDEX keyed_lower ON keyed (lower(a));
    CREATE TABLE \"trail \" (id integer PRIMARY KEY, v integer); CREATE INDEX trail_a ON \"trail \" (v);
    CREATE INDEX \"trail_á\" ON \"trail \" (v, id);
    DO $$ BEGIN
        EXECUTE format('COMMENT ON TABLE keyed IS %L', repeat('ä', 3000));
        EXECUTE format('COMMENT ON COLUMN keyed.a IS %L', repeat('x', 2000));
    END $$";

#[tokio::test]
async fn what_a_row_gets_by_itself_is_what_the_source_gives_it() -> Result<()> {
    let shop = Shop::empty(DEFAULTS).await?;
    let plan = migrate(&shop).await?;
    says(
        &plan,
        &[
            "multiples of 100",
            "rounded to 0 digits of a second",
            "GENERATED ALWAYS at the source; the target takes any number",
            "counts in steps of 10",
            "no number above 5000",
            "begins again",
            "identity public.plain.id: an AUTO_INCREMENT column is a whole number",
            "generated-column public.keyed.id: the column is a plain one because the target takes no generated column for a primary key",
            "index public.keyed.keyed_lower: it may have 64000 bytes",
            "such as 10.0.0.1 and 10.0.0.1/32",
            "the table's comment is cut",
            "the comment of column a is cut",
            "trail_á_2",
            "\"trail \" is named trail",
        ],
    );
    shop.target.run_sql("INSERT INTO defaults (id) VALUES (2)").await?;
    let columns: Vec<String> = ('a'..='w').map(|c| format!("one.{c} <=> two.{c}")).collect();
    for equal in &columns {
        let query = format!("SELECT {equal} FROM defaults AS one JOIN defaults AS two ON one.id = 1 AND two.id = 2");
        assert_eq!(ask(&shop, &query).await?, "1", "{equal}");
    }
    let same = "INSERT INTO rounded (id, a, b, c) VALUES (2, '2020-01-01 23:59:59.6', '2020-01-01 00:00:00.1239', '10:00:00.5')";
    shop.target.run_sql(same).await?;
    let query = "SELECT one.a = two.a AND one.b = two.b AND one.c = two.c FROM rounded AS one JOIN rounded AS two \
         ON one.id = 1 AND two.id = 2";
    assert_eq!(ask(&shop, query).await?, "1", "what is finer than the column is rounded on both sides");
    let indexes = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = database() \
         AND index_name IN ('keyed_utc', 'keyed_n', 'trail_a', 'trail_á_2')";
    assert_eq!(ask(&shop, indexes).await?, "4");
    assert!(shop.target.run_sql("INSERT INTO keyed (id, n) VALUES (7, 1)").await.is_err(), "n is unique");
    Ok(())
}

#[tokio::test]
async fn a_name_that_the_target_cannot_have_is_refused_by_the_plan() -> Result<()> {
    let shop = Shop::empty("SELECT 1").await?;
    for (table, code, words) in [
        (
            "t (id integer PRIMARY KEY, a integer, \"á\" integer)",
            "plan.columns-collide",
            "columns a and á of table public.t",
        ),
        ("t (id integer, \"__pk_increment\" integer)", "plan.name-refused", "__pk_increment"),
        ("\"t`x\" (id integer PRIMARY KEY)", "plan.name-refused", "public.t`x"),
    ] {
        shop.source.run_sql(&format!("CREATE TABLE {table}")).await?;
        let plan = shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(2)?;
        plan.fails_with(code)?.says(words)?;
        shop.source.run_sql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS \"t`x\"").await?;
    }
    shop.source
        .run_sql("CREATE TABLE t_a (id integer PRIMARY KEY); CREATE TABLE \"t_á\" (id integer PRIMARY KEY)")
        .await?;
    shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(2)?.fails_with("plan.tables-collide")?;
    Ok(())
}
