//! Tables to copy, and their rows as a target's literals.

use anyhow::{Context as _, Result};
use millrace_test_engines::Database;
use sqlx::{Connection as _, PgConnection};
use tpchgen::csv::LineItemCsv;
use tpchgen::generators::LineItemGenerator;

/// One table of a source, with its rows.
#[derive(Clone, Debug)]
pub struct Shape {
    /// For the figures' names, and the table's own.
    pub name: &'static str,
    /// How many rows.
    pub rows: u64,
    /// The key's columns.
    pub key: &'static str,
    /// A PostgreSQL expression over the table: the row as a tuple of the target's literals. None: the table is not
    /// measured against a floor.
    pub tuple: Option<&'static str>,
    fill: Fill,
}

#[derive(Clone, Debug)]
enum Fill {
    Script(String),
    Lineitem { scale: f64 },
}

impl Shape {
    /// Makes the table in a database of PostgreSQL.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fill(&self, source: &Database) -> Result<()> {
        match &self.fill {
            Fill::Script(script) => Ok(source.run_sql(script).await?),
            Fill::Lineitem { scale } => load_lineitem(source, *scale).await,
        }
    }
}

/// Eight columns of as many types: bigint, int, decimal, timestamp, boolean, text, json, uuid; about 150 bytes a row.
pub fn reference(rows: u64) -> Shape {
    let script = format!(
        "CREATE TABLE reference (
            id bigint PRIMARY KEY, account integer NOT NULL, amount numeric(12,2) NOT NULL,
            booked_at timestamp(6) NOT NULL, active boolean NOT NULL, title varchar(60) NOT NULL,
            attributes jsonb NOT NULL, token uuid NOT NULL);
         INSERT INTO reference
         SELECT n, n % 100000, (n % 1000000) / 100.0,
                timestamp '2020-01-01' + n * interval '1 second' + (n % 1000000) * interval '1 microsecond',
                n % 3 = 0, 'Reference title ' || n || ' ' || left(md5(n::text), 20),
                jsonb_build_object('color', CASE WHEN n % 2 = 0 THEN 'red' ELSE 'blue' END, 'size', n % 50),
                md5(n::text)::uuid
         FROM generate_series(1, {rows}) AS n;
         ANALYZE reference;"
    );
    let tuple = "concat('(', id, ',', account, ',', amount, ',''', booked_at, ''',', active::int, ',''', title, \
                 ''',''', attributes, ''',''', token, ''')')";
    Shape { name: "reference", key: "id", rows, tuple: Some(tuple), fill: Fill::Script(script) }
}

/// So many rows of two integers: where a row is so cheap that everything around it shows.
pub fn two_integers(rows: u64) -> Shape {
    let script = format!(
        "CREATE TABLE two_integers (id integer PRIMARY KEY, value integer NOT NULL);
         INSERT INTO two_integers SELECT n, n * 7 % 1000003 FROM generate_series(1, {rows}) AS n;
         ANALYZE two_integers;"
    );
    let tuple = "concat('(', id, ',', value, ')')";
    Shape { name: "two_integers", key: "id", rows, tuple: Some(tuple), fill: Fill::Script(script) }
}

/// So many rows of a mebibyte, every other one text, every other one bytes: where memory shows.
pub fn wide(rows: u64) -> Shape {
    let script = format!(
        "CREATE TABLE wide (id integer PRIMARY KEY, body text, data bytea);
         ALTER TABLE wide ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN data SET STORAGE EXTERNAL;
         INSERT INTO wide
         SELECT n, CASE WHEN n % 2 = 0 THEN repeat(md5(n::text), 32768) END,
                CASE WHEN n % 2 = 1 THEN decode(repeat(md5(n::text), 65536), 'hex') END
         FROM generate_series(1, {rows}) AS n;
         ANALYZE wide;"
    );
    Shape { name: "wide", key: "id", rows, tuple: None, fill: Fill::Script(script) }
}

/// So many tables of a hundred rows: where what is done once for each table shows. They are `small_1`, `small_2` …
pub fn thousand_tables(tables: u64) -> Shape {
    let script = format!(
        "DO $$ BEGIN FOR n IN 1..{tables} LOOP
            EXECUTE format('CREATE TABLE small_%s (id integer PRIMARY KEY, name varchar(40) NOT NULL, amount numeric(10,2))', n);
            EXECUTE format('INSERT INTO small_%s SELECT i, ''name '' || i, i * 1.25 FROM generate_series(1, 100) AS i', n);
            EXECUTE format('ANALYZE small_%s', n);
            IF n % 100 = 0 THEN COMMIT; END IF;
         END LOOP; END $$"
    );
    Shape { name: "thousand_tables", key: "id", rows: tables * 100, tuple: None, fill: Fill::Script(script) }
}

/// TPC-H's largest table at a scale factor: 6 million rows at 1.
pub fn lineitem(scale: f64) -> Shape {
    let tuple = "concat('(', l_orderkey, ',', l_partkey, ',', l_suppkey, ',', l_linenumber, ',', l_quantity, ',', \
                 l_extendedprice, ',', l_discount, ',', l_tax, ',''', l_returnflag, ''',''', l_linestatus, ''',''', \
                 l_shipdate, ''',''', l_commitdate, ''',''', l_receiptdate, ''',''', l_shipinstruct, ''',''', \
                 l_shipmode, ''',''', replace(l_comment, '''', ''''''), ''')')";
    let rows = LineItemGenerator::new(scale, 1, 1).iter().count() as u64;
    Shape {
        name: "lineitem",
        key: "l_orderkey, l_linenumber",
        rows,
        tuple: Some(tuple),
        fill: Fill::Lineitem { scale },
    }
}

async fn load_lineitem(source: &Database, scale: f64) -> Result<()> {
    /// Bytes of one message of the COPY: each is flushed.
    const MESSAGE: usize = 1 << 20;
    source
        .run_sql(
            "CREATE TABLE lineitem (
                l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
                l_linenumber integer NOT NULL, l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL,
                l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL,
                l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
                l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
                l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))",
        )
        .await?;
    let mut connection = PgConnection::connect(&source.url).await?;
    let mut copy = connection.copy_in_raw("COPY lineitem FROM STDIN (FORMAT csv)").await?;
    let mut message = String::with_capacity(MESSAGE + 1024);
    for item in LineItemGenerator::new(scale, 1, 1).iter() {
        use std::fmt::Write as _;
        writeln!(message, "{}", LineItemCsv::new(item)).context("a line is text")?;
        if message.len() >= MESSAGE {
            copy.send(std::mem::take(&mut message).into_bytes()).await?;
        }
    }
    copy.send(message.into_bytes()).await?;
    copy.finish().await?;
    connection.close().await?;
    Ok(source.run_sql("ANALYZE lineitem").await?)
}
