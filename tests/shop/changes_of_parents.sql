-- Changes to the tables that changes.sql leaves alone: customer, product and orders, to which the others
-- refer, and of which customer refers to itself. Runs before or after changes.sql, or without it.

SET LOCAL TimeZone = 'UTC';

ALTER TABLE customer ADD COLUMN phone varchar(32);
UPDATE customer SET phone = '+49 30 ' || id * 7919 % 1000000, referred_by = NULL WHERE id % 3 = 0;

ALTER TABLE product DROP COLUMN rating, ALTER COLUMN sku TYPE varchar(40);
INSERT INTO product (sku, title, price) VALUES ('SKU-WITH-MORE-THAN-TWENTY-LETTERS', 'Bell', 3.20);

ALTER TABLE orders ALTER COLUMN currency TYPE varchar(12), ALTER COLUMN note SET DEFAULT '';
UPDATE orders SET currency = 'XDR-basket' WHERE id % 100 = 1;

ANALYZE;
