CREATE TABLE person (id integer PRIMARY KEY, "Name" text, name text);
