CREATE TABLE measure (id integer PRIMARY KEY, value double precision, taken date);
INSERT INTO measure SELECT i, i / 3.0, date '2024-01-01' + i FROM generate_series(1, 97) AS i;
INSERT INTO measure VALUES (98, 'NaN', '2024-01-01'), (99, '-Infinity', '2024-01-01'), (100, 1, 'infinity');
