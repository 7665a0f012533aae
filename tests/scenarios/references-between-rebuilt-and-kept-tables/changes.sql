-- In the middle: city refers to country and to itself, and street refers to city.
ALTER TABLE city ADD COLUMN inhabitants bigint;
UPDATE city SET inhabitants = id * 5000000000;
INSERT INTO city VALUES (3, 'FR', 2, NULL);
