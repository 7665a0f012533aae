CREATE TABLE "Invoice" (id integer PRIMARY KEY);
CREATE TABLE invoice (id integer PRIMARY KEY);
