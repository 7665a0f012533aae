CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word text);
CREATE TABLE child (id integer PRIMARY KEY, parent_id bigint NOT NULL REFERENCES parent (id));
CREATE TABLE without_key (word text, number numeric, stamp timestamptz);
CREATE TABLE split (id integer, day date) PARTITION BY RANGE (day);
CREATE TABLE split_now PARTITION OF split DEFAULT;
