CREATE TABLE person (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, born date);
INSERT INTO person (name, born) VALUES ('Ada', '1815-12-10'), ('Grace', '1906-12-09');
CREATE INDEX ON person (born);
