DROP VIEW IF EXISTS violations;
DROP VIEW IF EXISTS user_purchases;
DROP VIEW IF EXISTS item_sales;
