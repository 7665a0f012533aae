CREATE TABLE somebody_elses (id int PRIMARY KEY);
INSERT INTO somebody_elses VALUES (1);
