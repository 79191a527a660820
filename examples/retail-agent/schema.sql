-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The retail agent's shop, made anew by ./dev run.
CREATE TABLE product (
  id integer PRIMARY KEY,
  name text NOT NULL,
  price numeric(10, 2) NOT NULL CHECK (price >= 0),
  stock integer NOT NULL DEFAULT 1000 CHECK (stock >= 0)
);

CREATE TABLE sale (
  id text PRIMARY KEY CHECK (id <> ''),
  sold_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sale_line (
  sale text NOT NULL REFERENCES sale,
  product integer NOT NULL REFERENCES product,
  quantity integer NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (sale, product)
);

INSERT INTO product (id, name, price)
SELECT n, 'product ' || n, round((n * 7.35 + 2.15)::numeric, 2)
FROM generate_series(1, 500) AS n;

UPDATE product SET name = 'olive oil, 1 l', price = 9.50 WHERE id = 1;
UPDATE product SET name = 'rice, 1 kg', price = 1.80 WHERE id = 2;
UPDATE product SET name = 'coffee, 500 g', price = 6.25 WHERE id = 3;
