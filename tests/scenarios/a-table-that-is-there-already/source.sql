CREATE TABLE person (id integer PRIMARY KEY, name varchar(40) NOT NULL);
INSERT INTO person VALUES (1, 'Ada'), (2, 'Grace');
