CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy ☀');
CREATE TABLE ends (
    id           integer PRIMARY KEY,
    small        smallint,
    medium       integer,
    large        bigint,
    exact        numeric(30, 10),
    free         numeric,
    single       real,
    double       double precision,
    yes          boolean,
    words        text,
    short        varchar(5),
    fixed        char(5),
    bytes        bytea,
    day          date,
    clock        time,
    stamp        timestamp,
    instant      timestamptz,
    guid         uuid,
    plain_json   json,
    binary_json  jsonb,
    feeling      mood,
    numbers      integer[],
    texts        text[]
);
INSERT INTO ends (id) VALUES (0);
-- The smallest and the emptiest.
INSERT INTO ends VALUES (1, -32768, -2147483648, -9223372036854775808, -99999999999999999999.9999999999,
    -0.000000000000000000000001, -3.4028235e38, -1.7976931348623157e308, false, '', '', '', '', '0001-01-01',
    '00:00:00', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '00000000-0000-0000-0000-000000000000', 'null', '{}',
    'sad', '{}', '{}');
-- The largest and the longest.
INSERT INTO ends VALUES (2, 32767, 2147483647, 9223372036854775807, 99999999999999999999.9999999999,
    123456789012345678901234567890.5, 3.4028235e38, 1.7976931348623157e308, true, repeat('ü☃𝄞', 20000), 'ü☃𝄞ab', 'abcde',
    decode(repeat('00ff275c0a1a', 20000), 'hex'), '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999',
    '9999-12-31 23:59:59.999999+00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '{"a": [1, 2.5, "x", null, true]}',
    '[[], {"": ""}]', 'happy ☀', '{1, NULL, -2147483648}', ARRAY['', NULL, 'NULL', 'a"b', 'back\slash', '☃']);
-- Nothing, almost nothing, and what wants quoting.
INSERT INTO ends VALUES (3, 0, 0, 0, 0, 0, 1.17549435e-38, 2.2250738585072014e-308, NULL,
    E'tab\tline\nreturn\rquote\'back\\slash%_', ' a ', ' a', '\x00', '1970-01-01', '12:34:56.789012',
    '1970-01-01 00:00:00.000001', '2024-02-29 23:30:00.5-08', 'c56a4180-65aa-42ec-a945-5fd21dec0538', '"text"', '10.5',
    'it''s ok', '{0}', '{"x,y", "{z}"}');
INSERT INTO ends VALUES (4, 1, 1, 1, 0.0000000001, 0.00001, 0.1, 0.1, true, 'blank at the end ', 'b    ', 'b    ',
    '\x5c27', '2000-02-29', '00:00:00.000001', '2038-01-19 03:14:08', '2038-01-19 03:14:08+00',
    'C56A4180-65AA-42EC-A945-5FD21DEC0539', '[]', '"\u00e9"', NULL, NULL, NULL);
INSERT INTO ends (id, single, double) VALUES (5, '-0', '-0');
