DROP TABLE IF EXISTS purchase_results;
DROP TABLE IF EXISTS purchases;
