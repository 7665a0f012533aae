//! What PostgreSQL prints of views, and what OceanBase is told.

use millrace_model::schema::{Column, Layout, LogicalType};

use super::*;

fn column(name: &str, declared: &str, logical: &str) -> Column {
    let text = matches!(logical, "text" | "enum" | "uuid");
    let logical = match (logical, declared) {
        ("real", _) => LogicalType::new("float", Layout::Float32),
        ("integer", "bigint") => LogicalType::new("integer", Layout::Int64).with("bits", "64"),
        ("integer", _) => LogicalType::new("integer", Layout::Int32).with("bits", "32"),
        ("decimal", _) => LogicalType::new("decimal", Layout::Varlen).with("scale", "2"),
        ("text", "character(2)") => LogicalType::new("text", Layout::Varlen).with("fixed", "true"),
        _ => LogicalType::new(logical, Layout::Varlen),
    };
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical,
        nullable: name != "id",
        collation: text.then(|| "utf8mb4_bin".to_owned()),
        ..Column::default()
    }
}

fn table(name: &str, columns: &[(&str, &str, &str)]) -> Table {
    let columns = columns.iter().map(|(name, declared, logical)| column(name, declared, logical)).collect();
    Table { name: TableName::new("public", name), columns, ..Table::default() }
}

fn tables() -> [Table; 2] {
    [
        table(
            "customer",
            &[
                ("id", "integer", "integer"),
                ("name", "text", "text"),
                ("mood", "mood", "enum"),
                ("code", "character(2)", "text"),
                ("score", "real", "real"),
                ("g", "double precision", "float"),
                ("b", "boolean", "boolean"),
                ("j", "jsonb", "json"),
                ("u", "uuid", "uuid"),
                ("Phone", "text", "text"),
            ],
        ),
        table(
            "orders",
            &[
                ("id", "bigint", "integer"),
                ("customer_id", "integer", "integer"),
                ("total", "numeric(12,2)", "decimal"),
                ("placed", "timestamp with time zone", "timestamp-tz"),
                ("status", "character varying(10)", "text"),
                ("d", "date", "date"),
                ("n", "integer", "integer"),
            ],
        ),
    ]
}

fn mapping(column: &Column) -> Mapping {
    let mut target = column.clone();
    if column.logical.name == "timestamp-tz" {
        target.declared = "datetime(6)".to_owned();
    }
    Mapping { sources: vec![column.name.clone()], targets: vec![target], converts: true, note: None }
}

fn object(name: &str, definition: &str) -> Object {
    Object {
        kind: "view".to_owned(),
        name: TableName::new("public", name),
        definition: format!("CREATE VIEW public.{name} {definition};"),
    }
}

fn translated(views: &[Object]) -> Views {
    let sources = tables();
    let targets: Vec<Table> = sources
        .iter()
        .map(|source| Table { name: TableName::bare(format!("t_{}", source.name.name)), ..source.clone() })
        .collect();
    let readable: Vec<ReadableTable<'_>> = sources
        .iter()
        .zip(&targets)
        .map(|(source, target)| ReadableTable {
            source,
            mappings: source.columns.iter().map(mapping).collect(),
            altered: BTreeSet::from(["Phone".to_owned()]),
            target,
        })
        .collect();
    let objects: Vec<&Object> = views.iter().collect();
    translate_views(&objects, &readable, &|name| Ok(TableName::bare(name.name.to_lowercase())), "oceanbase")
}

/// The query of a view, or the part that could not be said.
fn query(definition: &str) -> Result<String, String> {
    let views = translated(&[object("v", &format!("AS {definition}"))]);
    match (views.carried.as_slice(), views.refused.as_slice()) {
        ([view], []) => Ok(view.statement.split_once(" AS ").expect("a query").1.to_owned()),
        (_, [(_, reason)]) => Err(reason.clone()),
        _ => panic!("one view, one answer"),
    }
}

#[test]
fn a_view_says_the_same_there_or_is_refused() {
    let cases = [
        (
            "SELECT o.id, c.name AS customer FROM (public.orders o JOIN public.customer c ON ((c.id = o.customer_id))) \
             WHERE (((o.status)::text = ANY ((ARRAY['new'::character varying, 'paid'::character varying])::text[])) \
             AND (c.mood = 'ok'::public.mood)) ORDER BY o.total DESC NULLS LAST LIMIT 5",
            "select `o`.`id` as `id`, `c`.`name` as `customer` from (`t_orders` `o` join `t_customer` `c` on \
             (`c`.`id` = `o`.`customer_id`)) where (((`o`.`status` in ('new','paid')) and \
             (not((`o`.`status` like '% ' escape '\\\\')))) and (`c`.`mood` = 'ok')) \
             order by `o`.`total` desc limit 5",
        ),
        (
            "SELECT c.id, c.name, count(*) AS count, sum(o.total) FILTER (WHERE (o.n > 1)) AS paid, \
             round(avg(o.total), 2) AS round FROM (public.customer c LEFT JOIN public.orders o ON ((o.customer_id = c.id))) \
             GROUP BY c.id HAVING (count(*) > 1)",
            "select `c`.`id` as `id`, `c`.`name` as `name`, count(*) as `count`, sum((case when (`o`.`n` > 1) then \
             `o`.`total` else NULL end)) as `paid`, round((cast(sum(`o`.`total`) as decimal(65,20)) / \
             count(`o`.`total`)),2) as `round` from (`t_customer` `c` left join `t_orders` `o` on \
             (`o`.`customer_id` = `c`.`id`)) group by `c`.`id`, `c`.`name` having (count(*) > 1)",
        ),
        (
            "WITH big AS ( SELECT orders.id, orders.total FROM public.orders WHERE (orders.total > (100)::numeric) ) \
             SELECT big.id, (EXISTS ( SELECT 1 FROM public.customer c WHERE (c.id = big.id))) AS e FROM big UNION ALL \
             SELECT orders.id, NULL::boolean AS e FROM public.orders ORDER BY 2 DESC, 1",
            "select `u`.`id` as `id`, `u`.`e` as `e` from (select `big`.`id` as `id`, (exists (select 1 as `column1` from \
             `t_customer` `c` where (`c`.`id` = `big`.`id`))) as `e` from `big` `big` union all select `orders`.`id` as \
             `id`, NULL as `e` from `t_orders` `orders`) `u` order by (`u`.`e` is null) desc, `u`.`e` desc, `u`.`id`",
        ),
        (
            "SELECT name, count(*) AS n FROM public.customer GROUP BY name ORDER BY name",
            "select `customer`.`name` as `name`, count(*) as `n` from `t_customer` `customer` group by `customer`.`name`, \
             char_length(`customer`.`name`) order by (`customer`.`name` is null), `customer`.`name`",
        ),
        (
            "SELECT DISTINCT o.status, o.d FROM public.orders o ORDER BY o.d DESC",
            "select `o`.`status` as `status`, `o`.`d` as `d` from `t_orders` `o` group by `o`.`status`, `o`.`d`, \
             char_length(`o`.`status`) order by (`o`.`d` is null) desc, `o`.`d` desc",
        ),
        (
            "SELECT id FROM public.orders o WHERE (NOT ((o.status)::text IN ( SELECT customer.name FROM public.customer)))",
            "select `o`.`id` as `id` from `t_orders` `o` where (not(((`o`.`status`, char_length(`o`.`status`)) in \
             (select `i`.`name`, char_length(`i`.`name`) from (select `customer`.`name` as `name` from `t_customer` \
             `customer`) `i`))))",
        ),
        (
            "SELECT o.id, ( SELECT max(x.total) AS max FROM public.orders x WHERE (x.customer_id = o.customer_id)) AS m \
             FROM public.orders o",
            "select `o`.`id` as `id`, (select max(`x`.`total`) as `max` from `t_orders` `x` where (`x`.`customer_id` = \
             `o`.`customer_id`)) as `m` from `t_orders` `o`",
        ),
        (
            "SELECT a.id FROM (public.customer a JOIN public.orders b USING (id))",
            "select `a`.`id` as `id` from (`t_customer` `a` join `t_orders` `b` on (`a`.`id` = `b`.`id`))",
        ),
        (
            "SELECT orders.id FROM public.orders UNION SELECT customer.id FROM public.customer",
            "select `d`.`id` as `id` from (select `orders`.`id` as `id` from `t_orders` `orders` union all select \
             `customer`.`id` as `id` from `t_customer` `customer`) `d` group by `d`.`id`",
        ),
        (
            "SELECT ((n)::double precision / (3)::double precision) AS q, (n / 2) AS h, (n % NULLIF(n, 0)) AS m, \
             COALESCE(status, '-'::character varying) AS s FROM public.orders",
            "select (cast(`orders`.`n` as double) / 3) as `q`, (`orders`.`n` div 2) as `h`, (`orders`.`n` % (case when \
             (`orders`.`n` = 0) then NULL else `orders`.`n` end)) as `m`, coalesce(`orders`.`status`,'-') as \
             `s` from `t_orders` `orders`",
        ),
        (
            "SELECT id, CASE status WHEN 'a'::text THEN 1 ELSE 0 END AS x FROM public.orders WHERE \
             ((d >= '2020-01-01'::date) AND (placed < '2020-01-01 00:00:00+00'::timestamp with time zone))",
            "select `orders`.`id` as `id`, (case when (`orders`.`status` = 'a' and char_length(`orders`.`status`) = 1) then \
             1 else 0 end) as `x` from `t_orders` `orders` where ((`orders`.`d` >= cast('2020-01-01' as date)) and \
             (`orders`.`placed` < cast('2020-01-01 00:00:00' as datetime(6))))",
        ),
        (
            "SELECT id, j, code, score, \"Phone\" FROM public.customer",
            "select `customer`.`id` as `id`, `customer`.`j` as `j`, `customer`.`code` as `code`, `customer`.`score` as \
             `score`, `customer`.`Phone` as `Phone` from `t_customer` `customer`",
        ),
        (
            "SELECT EXTRACT(year FROM d) AS y, count(DISTINCT status) AS s FROM public.orders GROUP BY (EXTRACT(year FROM d))",
            "select year(`orders`.`d`) as `y`, count(distinct `orders`.`status`, char_length(`orders`.`status`)) as `s` from \
             `t_orders` `orders` group by year(`orders`.`d`)",
        ),
        (
            "SELECT x.a, (mood)::text AS m FROM public.orders x(a, b), public.customer ORDER BY x.a OFFSET 3",
            "select `x`.`id` as `a`, (cast(`customer`.`mood` as char) collate utf8mb4_bin) as `m` from `t_orders` `x`, \
             `t_customer` `customer` order by `x`.`id` limit 18446744073709551615 offset 3",
        ),
    ];
    for (source, target) in cases {
        assert_eq!(
            query(source).as_deref().map(|said| said.strip_prefix("with ").unwrap_or(said)),
            Ok(with(target).as_str()),
            "{source}"
        );
    }
}

/// What is expected, behind the common table expression of the one case that has one.
fn with(expected: &str) -> String {
    if expected.contains("`big`") {
        let common = "`big` as (select `orders`.`id` as `id`, `orders`.`total` as `total` from `t_orders` `orders` where \
                      (`orders`.`total` > 100)) ";
        return format!("{common}{expected}");
    }
    expected.to_owned()
}

#[test]
fn a_view_is_refused_with_the_part_that_cannot_be_said() {
    let cases = [
        ("SELECT string_agg(name, ','::text) AS s FROM public.customer", "no aggregate string_agg"),
        ("SELECT avg(total) AS a FROM public.orders", "averages have other digits"),
        ("SELECT sum(g) AS s FROM public.customer", "depends on their order"),
        ("SELECT max(name) AS m FROM public.customer", "orders the texts"),
        ("SELECT bool_and(b) AS x FROM public.customer", "no aggregate bool_and"),
        ("SELECT id, row_number() OVER (ORDER BY id) AS r FROM public.orders", "over a window"),
        ("SELECT lower(name) AS l FROM public.customer", "lower folds other letters"),
        ("SELECT id FROM public.customer WHERE (name ~ '\\s'::text)", "depends on the source's locale"),
        ("SELECT id FROM public.customer WHERE (name > 'a'::text)", "ordered by the source's collation"),
        ("SELECT id FROM public.customer ORDER BY name LIMIT 3", "sorted by the source's collation"),
        ("SELECT id FROM public.customer LIMIT 3", "without an order"),
        ("SELECT id FROM public.customer WHERE (score > (0.5)::double precision)", "column score (real)"),
        ("SELECT length(code) AS l FROM public.customer", "column code (character(2))"),
        ("SELECT id FROM public.customer WHERE (\"Phone\" = 'x'::text)", "makes other values of column Phone"),
        ("SELECT (j ->> 'a'::text) AS a FROM public.customer", "no operator ->>"),
        ("SELECT (total / (3)::numeric) AS t FROM public.orders", "quotients of decimals"),
        ("SELECT (10 / n) AS t FROM public.orders", "fails at the source where that is zero"),
        ("SELECT (total)::text AS t FROM public.orders", "to TEXT means something else there"),
        ("SELECT a.id FROM (public.orders a FULL JOIN public.orders b ON ((a.id = b.id)))", "no FULL JOIN"),
        ("SELECT relname FROM pg_catalog.pg_class", "pg_catalog.pg_class, which is not among the pipeline's tables"),
        ("SELECT g.g FROM generate_series(1, 3) g(g)", "the function generate_series"),
        ("SELECT DISTINCT ON (o.n) o.id FROM public.orders o", "no DISTINCT ON"),
        ("WITH RECURSIVE r AS ( SELECT 1 AS n ) SELECT r.n FROM r", "recursive"),
        ("SELECT orders.id FROM public.orders INTERSECT SELECT customer.id FROM public.customer", "no INTERSECT"),
        ("SELECT id, CURRENT_DATE AS d FROM public.orders", "another value each time"),
        ("SELECT EXTRACT(year FROM placed) AS y FROM public.orders", "session's time zone"),
        ("SELECT id AS a, n AS \"A\" FROM public.orders", "two of its columns are called A"),
        (
            "WITH t_orders AS ( SELECT orders.id FROM public.orders ) SELECT t_orders.id FROM t_orders",
            "called t_orders",
        ),
    ];
    for (source, reason) in cases {
        let refused = query(source).expect_err(source);
        assert!(refused.contains(reason), "{source}: {refused}");
    }
}

#[test]
fn views_come_after_the_views_that_they_read_and_go_with_them() {
    let views = translated(&[
        object("upper", "AS SELECT lower.id FROM public.lower WHERE (lower.n > 1)"),
        object("lower", "AS SELECT orders.id, orders.n FROM public.orders"),
        object("lost", "AS SELECT r.x FROM public.refused r"),
        object("refused", "AS SELECT string_agg(name, ','::text) AS x FROM public.customer"),
        object("first", "AS SELECT second.x FROM public.second"),
        object("second", "AS SELECT first.x FROM public.first"),
    ]);
    let names: Vec<&str> = views.carried.iter().map(|view| view.source.name.as_str()).collect();
    assert_eq!(names, ["lower", "upper"]);
    let reason = |name: &str| views.refused.iter().find(|(view, _)| view.name == name).expect(name).1.as_str();
    assert_eq!(reason("lost"), "it reads the view public.refused, which is not carried");
    assert_eq!(reason("first"), "it reads views that read it");
}

#[test]
fn the_statement_has_the_columns_names_and_the_check_option() {
    let views = translated(&[object(
        "Named",
        "WITH (security_barrier=true, check_option=local) AS SELECT id, b FROM public.customer WHERE b",
    )]);
    let [view] = views.carried.as_slice() else { panic!("{:?}", views.refused) };
    assert_eq!(
        view.statement,
        "CREATE OR REPLACE VIEW `named` (`id`, `b`) AS select `customer`.`id` as `id`, `customer`.`b` as `b` from \
         `t_customer` `customer` where (`customer`.`b` <> 0) WITH LOCAL CHECK OPTION"
    );
    assert!(view.notes.iter().any(|note| note.contains("security_barrier")), "{:?}", view.notes);
    assert_eq!(view.reads, BTreeSet::from([TableName::bare("t_customer")]));
}
