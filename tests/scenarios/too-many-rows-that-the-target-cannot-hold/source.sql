CREATE TABLE measure (id integer PRIMARY KEY, value double precision);
INSERT INTO measure SELECT i, i FROM generate_series(1, 97) AS i;
INSERT INTO measure VALUES (98, 'NaN');
