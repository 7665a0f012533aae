CREATE TABLE hen (id integer PRIMARY KEY, hatched_from integer);
CREATE TABLE egg (id integer PRIMARY KEY, laid_by integer REFERENCES hen (id));
ALTER TABLE hen ADD FOREIGN KEY (hatched_from) REFERENCES egg (id);
INSERT INTO hen VALUES (1, NULL);
INSERT INTO egg VALUES (1, 1);
INSERT INTO hen VALUES (2, 1);
