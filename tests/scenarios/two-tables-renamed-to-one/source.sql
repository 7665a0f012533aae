CREATE TABLE person (id integer PRIMARY KEY);
CREATE TABLE company (id integer PRIMARY KEY);
