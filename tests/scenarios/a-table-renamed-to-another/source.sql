CREATE TABLE person (id integer PRIMARY KEY);
CREATE TABLE party (id integer PRIMARY KEY);
