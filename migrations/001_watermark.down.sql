DROP FUNCTION IF EXISTS reset_projection();
DROP TABLE IF EXISTS watermark;
