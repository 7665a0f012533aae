CREATE TABLE "order" ("select" integer PRIMARY KEY, "from" text, "group" integer, "key" integer);
CREATE INDEX "index" ON "order" ("group");
INSERT INTO "order" VALUES (1, 'one', 10, 100), (2, 'two', 20, 200);

CREATE TABLE "with a blank" ("a column" integer PRIMARY KEY, "it's" text, "a ""quote""" text, "back`tick" text);
INSERT INTO "with a blank" VALUES (1, 'a', 'b', 'c');

CREATE TABLE "Größe" ("Länge" integer PRIMARY KEY, "名前" text, "Mixed" integer REFERENCES "order" ("select"));
CREATE INDEX "Größe nach Name" ON "Größe" ("Mixed");
INSERT INTO "Größe" VALUES (1, 'ä', 1), (2, '恵', 2), (3, NULL, NULL);

CREATE TABLE "per%cent and \ and ; and --" (id integer PRIMARY KEY, "a.b" integer, "c?d" integer, "$1" text);
INSERT INTO "per%cent and \ and ; and --" VALUES (1, 2, 3, 'four');
