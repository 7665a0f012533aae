ALTER TABLE person ALTER COLUMN name TYPE varchar(60);
CREATE INDEX person_lower ON person (lower(name));
