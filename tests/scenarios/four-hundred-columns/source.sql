-- Integers, texts, booleans and decimals in turn.
DO $$
DECLARE
    types text[] := ARRAY['integer', 'varchar(10)', 'boolean', 'numeric(9, 2)'];
    columns text;
    row_values text;
BEGIN
    SELECT string_agg(format('c%s %s', i, types[1 + i % 4]), ', ' ORDER BY i) INTO columns
    FROM generate_series(1, 399) AS i;
    SELECT string_agg(CASE i % 4 WHEN 0 THEN 'n + ' || i
                                 WHEN 1 THEN quote_literal('w' || i) || ' || n'
                                 WHEN 2 THEN '(n + ' || i || ') % 3 = 0'
                                 ELSE '(n + ' || i || ') / 100.0' END, ', ' ORDER BY i) INTO row_values
    FROM generate_series(1, 399) AS i;
    EXECUTE format('CREATE TABLE wide (id integer PRIMARY KEY, %s)', columns);
    EXECUTE format('INSERT INTO wide SELECT n, %s FROM generate_series(1, 50) AS n', row_values);
END
$$;
