ALTER TABLE hen ADD COLUMN name text;
ALTER TABLE egg ADD COLUMN grams integer;
