DROP TABLE IF EXISTS items, buyers, orders;

-- Room on each page, so that an update finds it beside the old row and changes no index.
CREATE TABLE items (
  id text PRIMARY KEY,
  stock integer NOT NULL CHECK (stock >= 0)
) WITH (fillfactor = 80);

CREATE TABLE buyers (
  user_id text PRIMARY KEY,
  units integer NOT NULL,
  CONSTRAINT user_limit CHECK (units <= :limit)
) WITH (fillfactor = 80);

CREATE TABLE orders (
  code bytea PRIMARY KEY,
  user_id text NOT NULL,
  item_id text NOT NULL,
  held_at timestamptz NOT NULL DEFAULT now(),
  sold_at timestamptz
) WITH (fillfactor = 80);
