CREATE TABLE measure (id int PRIMARY KEY);
INSERT INTO measure VALUES (1), (2);
