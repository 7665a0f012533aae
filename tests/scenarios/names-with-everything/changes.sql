ALTER TABLE "order" ADD COLUMN "table" text;
ALTER TABLE "Größe" ADD COLUMN "Straße" text;
