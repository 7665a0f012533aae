-- 63 bytes, PostgreSQL's most; shadows, backups and constraints add a stamp to names.
CREATE TABLE a_table_whose_name_has_all_of_the_sixty_three_letters_of_postgr (
    a_column_whose_name_has_all_of_the_sixty_three_letters_of_postg integer PRIMARY KEY,
    word varchar(20),
    CONSTRAINT a_check_whose_name_has_all_of_the_sixty_three_letters_of_postgr
        CHECK (a_column_whose_name_has_all_of_the_sixty_three_letters_of_postg > 0)
);
CREATE INDEX an_index_whose_name_has_all_of_the_sixty_three_letters_of_postg
    ON a_table_whose_name_has_all_of_the_sixty_three_letters_of_postgr (word);
INSERT INTO a_table_whose_name_has_all_of_the_sixty_three_letters_of_postgr
SELECT i, 'word ' || i FROM generate_series(1, 10) AS i;
CREATE TABLE child (
    id integer PRIMARY KEY,
    parent integer,
    CONSTRAINT a_reference_whose_name_has_all_of_the_sixty_three_letters_of_po FOREIGN KEY (parent)
        REFERENCES a_table_whose_name_has_all_of_the_sixty_three_letters_of_postgr
            (a_column_whose_name_has_all_of_the_sixty_three_letters_of_postg)
);
INSERT INTO child SELECT i, i FROM generate_series(1, 5) AS i;
