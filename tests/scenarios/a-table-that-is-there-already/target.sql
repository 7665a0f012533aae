CREATE TABLE person (id int PRIMARY KEY, nickname varchar(10));
INSERT INTO person VALUES (1, 'A'), (5, 'E'), (6, 'F');
CREATE TABLE audit (id int PRIMARY KEY, what varchar(20));
INSERT INTO audit VALUES (1, 'made');
