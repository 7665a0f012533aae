CREATE TABLE nothing_at_all ();
CREATE TABLE something (id integer PRIMARY KEY);
INSERT INTO something VALUES (1);
