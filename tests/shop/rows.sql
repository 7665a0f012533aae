-- The shop's rows: the same ones on every machine, from arithmetic alone. Whoever runs this replaces
-- {orders} by the number of orders; everything else follows from it. Needs a superuser: references are
-- right by construction, so their checks are switched off while loading, which halves the time.

SET LOCAL session_replication_role = replica;
SET LOCAL TimeZone = 'UTC';

INSERT INTO customer (id, public_id, email, name, tier, referred_by, preferences, interests, born_on, credit,
                      newsletter, joined_at)
SELECT i,
       md5('customer ' || i)::uuid,
       CASE WHEN i % 4 = 0 THEN 'Customer.' ELSE 'customer.' END || i || '@example.org',
       (ARRAY['Ada', 'Béla', 'Çelik', 'Dörte', '恵子', 'O''Neil', 'Zoë 🌷', 'Łukasz'])[1 + i % 8] || ' ' || i,
       (ARRAY['guest', 'member', 'gold'])[1 + i * 7 % 3]::customer_tier,
       CASE WHEN i > 10 AND i % 5 = 0 THEN i / 5 END,
       jsonb_build_object('language', (ARRAY['de', 'en', 'fr'])[1 + i % 3], 'newsletter', i % 2 = 0,
                          'limits', jsonb_build_array(i % 10, i % 100, NULL)),
       CASE i % 4 WHEN 0 THEN '{}'::text[]
                  WHEN 1 THEN ARRAY['tea']
                  WHEN 2 THEN ARRAY['tea', 'books, used', 'quote "']
                  ELSE ARRAY['garden', NULL, 'back\slash'] END,
       CASE WHEN i % 6 > 0 THEN date '1940-01-01' + (i * 37 % 24000)::integer END,
       (i * 7919 % 200000 - 50000)::numeric / 100,
       i % 2 = 0,
       timestamptz '2020-01-01 00:00:00+00' + i * interval '61.000017 seconds'
FROM generate_series(1::bigint, greatest({orders} / 10, 20)) AS i;

INSERT INTO product (id, sku, title, description, price, weight, rating, attributes, sizes, picture, active)
OVERRIDING SYSTEM VALUE
SELECT i,
       'SKU-' || lpad(i::text, 6, '0'),
       (ARRAY['Teapot', 'Lantern', 'Blanket', 'Spade', 'Notebook'])[1 + i % 5] || ' No. ' || i,
       CASE WHEN i % 7 > 0 THEN repeat('Made to last. ', i % 40) END,
       (100 + i * 4241 % 90000)::numeric / 100,
       CASE i % 5 WHEN 0 THEN NULL
                  WHEN 1 THEN i::numeric / 8
                  WHEN 2 THEN 0.0000001 * i
                  WHEN 3 THEN i * 12345678901234.5
                  ELSE i END,
       CASE WHEN i % 9 > 0 THEN 1 + (i * 31 % 41) / 10.0::double precision END,
       jsonb_build_object('color', (ARRAY['red', 'grün', 'blue'])[1 + i % 3], 'washable', i % 2 = 0, 'score', i / 4.0::double precision),
       CASE WHEN i % 3 > 0 THEN ARRAY[i % 7, i % 11, i % 13] END,
       CASE WHEN i % 4 > 0 THEN decode(repeat(md5('picture ' || i), 1 + i % 20), 'hex') END,
       i % 10 > 0
FROM generate_series(1, 500) AS i;

INSERT INTO orders (id, reference, customer_id, status, currency, exchange_rate, total, note, placed_at, shipped_on)
SELECT i,
       'R' || 1000 + i,
       1 + i * 7919 % greatest({orders} / 10, 20),
       (ARRAY['shipped', 'shipped', 'shipped', 'paid', 'open', 'returned', 'cancelled'])[1 + i % 7]::order_status,
       CASE WHEN i % 11 = 0 THEN 'USD' WHEN i % 13 = 0 THEN 'JPY' ELSE 'EUR' END,
       CASE WHEN i % 11 = 0 THEN 0.9 + (i % 1000) / 10000.0 WHEN i % 13 = 0 THEN 0.00612345 + (i % 10) / 100000000.0
            ELSE 1 END,
       (500 + i * 104729 % 1000000)::numeric / 100,
       CASE i % 20 WHEN 0 THEN 'Please ring twice' WHEN 1 THEN '' WHEN 2 THEN 'Für Oma, mit ♥' WHEN 3 THEN 'ends with a blank '
                   WHEN 4 THEN E'two\nlines and a \\ and a '' and a "' END,
       timestamptz '2024-01-01 00:00:00+00' + i * (interval '730 days' / ({orders} + 1)),
       CASE WHEN i % 7 IN (0, 1, 2, 5)
            THEN date '2024-01-02' + (i * 730 / ({orders} + 1))::integer END
FROM generate_series(1::bigint, {orders}) AS i;

INSERT INTO order_line (order_id, line, product_id, quantity, unit_price, discount, gift_text)
SELECT i, line, 1 + (i * 31 + line * 7) % 500, 1 + (i + line) % 5, (100 + i * 577 % 20000)::numeric / 100,
       CASE WHEN i % 10 = 0 THEN 0.125 WHEN i % 10 = 1 THEN 1 / 3::numeric ELSE 0 END,
       CASE WHEN (i + line) % 25 = 0 THEN 'Happy birthday, number ' || i % 100 || '!' END
FROM generate_series(1::bigint, {orders}) AS i, generate_series(1, 2) AS line
WHERE line <= 1 + i % 2;

INSERT INTO payment (id, paid_at, order_id, amount, method, receipt, response)
SELECT i,
       timestamptz '2024-01-01 12:00:00+00' + i * (interval '760 days' / ({orders} + 1)),
       i,
       (500 + i * 104729 % 1000000)::numeric / 100,
       (ARRAY['card', 'invoice', 'transfer'])[1 + i % 3],
       md5('receipt ' || i),
       CASE WHEN i % 2 = 0
            THEN ('{"code": ' || i % 10 || ', "text": "ok"}')::json END
FROM generate_series(1::bigint, {orders}) AS i
WHERE i % 4 > 0;

INSERT INTO stock (product_id, warehouse, quantity, temperature, counted_at)
SELECT i, warehouse, i * 17 % 1000, CASE WHEN i % 2 = 0 THEN (i % 300) / 10.0 - 5 END,
       CASE WHEN i % 3 > 0 THEN timestamp '2025-06-01 08:00:00' + i * interval '0.1 seconds' END
FROM generate_series(1, 500) AS i, unnest(ARRAY['BER', 'MUC', 'X']) AS warehouse;

INSERT INTO address (id, customer_id, street, city, country, preferred, deliver_after)
OVERRIDING SYSTEM VALUE
SELECT i, 1 + i % greatest({orders} / 10, 20), 'Straße des 17. Juni ' || i % 300,
       (ARRAY['Berlin', 'Wien', 'Zürich', 'Kraków', 'Aarhus'])[1 + i % 5], (ARRAY['DE', 'AT', 'CH', 'PL', 'DK'])[1 + i % 5],
       i <= greatest({orders} / 10, 20) / 2,
       CASE WHEN i % 3 = 0 THEN time '06:00:00' + i % 10 * interval '90.5 minutes' END
FROM generate_series(1::bigint, greatest({orders} / 10, 20) * 5 / 4) AS i;

-- Some rows are there twice, as in any log without a key.
INSERT INTO page_view (seen_at, customer_id, path, agent, query, seconds)
SELECT timestamptz '2025-01-01 00:00:00+00' + i / 3 * interval '1.5 seconds',
       CASE WHEN i % 3 > 0 THEN 1 + i / 3 % greatest({orders} / 10, 20) END,
       '/product/' || i / 3 % 500,
       (ARRAY['Firefox', 'Safari', NULL])[1 + i / 3 % 3],
       CASE WHEN i / 3 % 4 = 0 THEN ('{"from": "mail", "campaign": ' || i / 3 % 12 || '}')::json END,
       (i / 3 % 977) / 8.0::double precision
FROM generate_series(1::bigint, {orders} / 4) AS i;

SELECT setval(pg_get_serial_sequence('customer', 'id'), max(id)) FROM customer;
SELECT setval(pg_get_serial_sequence('product', 'id'), max(id)) FROM product;
SELECT setval(pg_get_serial_sequence('orders', 'id'), max(id)) FROM orders;
SELECT setval(pg_get_serial_sequence('address', 'id'), max(id)) FROM address;
SELECT setval('order_reference', 1000 + max(id)) FROM orders;

ANALYZE;
