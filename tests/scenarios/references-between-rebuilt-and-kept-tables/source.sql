CREATE TABLE country (code char(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE city (
    id integer PRIMARY KEY,
    country char(2) NOT NULL REFERENCES country (code),
    twin integer REFERENCES city (id)
);
CREATE TABLE street (id integer PRIMARY KEY, city integer NOT NULL REFERENCES city (id) ON DELETE CASCADE);
INSERT INTO country VALUES ('DE', 'Germany'), ('FR', 'France');
INSERT INTO city VALUES (1, 'DE', NULL), (2, 'FR', 1);
INSERT INTO street VALUES (10, 1), (20, 2);
