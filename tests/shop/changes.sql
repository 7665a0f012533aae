-- What the shop's developers did since the last migration: one kind of change a table. The tables
-- customer, product and orders stay as they are. No table changed here is referred to by another.

SET LOCAL TimeZone = 'UTC';

-- A column added.
ALTER TABLE address ADD COLUMN hint varchar(100) NOT NULL DEFAULT '';
UPDATE address SET hint = 'Second floor, ' || city WHERE id % 3 = 0;

-- A column dropped.
ALTER TABLE page_view DROP COLUMN agent;
INSERT INTO page_view (seen_at, customer_id, path, query, seconds)
VALUES ('2025-12-31 23:59:59.999999+00', 1, '/imprint', '{"from": "footer"}', 0.5),
       ('2025-12-31 23:59:59.999999+00', 1, '/imprint', '{"from": "footer"}', 0.5);

-- A column widened.
ALTER TABLE payment ALTER COLUMN receipt TYPE varchar(80);
UPDATE payment SET receipt = receipt || '/' || md5(receipt) WHERE id % 10 = 1;

-- A type changed.
ALTER TABLE stock ALTER COLUMN quantity TYPE bigint;
UPDATE stock SET quantity = 5000000000 WHERE product_id = 42 AND warehouse = 'BER';
DELETE FROM stock WHERE product_id = 500;

-- An index added.
CREATE INDEX order_line_product ON order_line (product_id);
UPDATE order_line SET gift_text = 'Sorry for the delay' WHERE order_id % 1000 = 7;

-- A new table.
CREATE TABLE review (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id   integer NOT NULL REFERENCES product (id),
    customer_id  bigint NOT NULL REFERENCES customer (id),
    stars        smallint NOT NULL,
    words        text,
    written_at   timestamptz NOT NULL,
    CONSTRAINT review_stars CHECK (stars BETWEEN 1 AND 5),
    CONSTRAINT review_once UNIQUE (product_id, customer_id)
);
COMMENT ON TABLE review IS 'What customers say about products';
INSERT INTO review (product_id, customer_id, stars, words, written_at)
SELECT 1 + i * 7 % 500, 1 + i % 20, 1 + i % 5, CASE WHEN i % 4 > 0 THEN repeat('Fine. ', i % 9) END,
       timestamptz '2025-10-01 00:00:00+00' + i * interval '1 hour'
FROM generate_series(1, 400) AS i;

ANALYZE;
