CREATE SCHEMA sales;
CREATE TABLE public.item (id integer PRIMARY KEY);
INSERT INTO public.item VALUES (1), (2);
CREATE TABLE sales.item (id integer PRIMARY KEY, parent integer REFERENCES public.item (id));
INSERT INTO sales.item VALUES (7, 1);
