DROP TABLE IF EXISTS refused_attempts;
DROP TABLE IF EXISTS expired_checkouts;
DROP TABLE IF EXISTS checkout_items;
DROP TABLE IF EXISTS checkouts;
