-- What each item has sold. remaining does not count reservations.
CREATE OR REPLACE VIEW item_sales AS
SELECT i.sale_id, i.item_index, i.id, i.name, i.stock,
       coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS sold,
       i.stock - coalesce(sum(r.quantity) FILTER (WHERE r.sold), 0)::bigint AS remaining
FROM items i
LEFT JOIN purchase_results r ON r.sale_id = i.sale_id AND r.item_index = i.item_index
GROUP BY i.sale_id, i.item_index, i.id, i.name, i.stock;

-- What each user has bought.
CREATE OR REPLACE VIEW user_purchases AS
SELECT c.sale_id, c.user_id, sum(r.quantity)::bigint AS bought
FROM purchase_results r
JOIN checkouts c ON c.sale_id = r.sale_id AND c.secret = r.secret
WHERE r.sold
GROUP BY c.sale_id, c.user_id;

-- What can never be. Always empty: run it after a sale, or let `flashsale verify` do more than that.
CREATE OR REPLACE VIEW violations AS
SELECT sale_id, 'item ' || id || ': sold ' || sold || ' of ' || stock AS what
FROM item_sales WHERE sold > stock
UNION ALL
SELECT u.sale_id, 'user ' || u.user_id || ': bought ' || u.bought || ' of ' || s.max_items_per_user
FROM user_purchases u JOIN sales s ON s.id = u.sale_id WHERE u.bought > s.max_items_per_user
UNION ALL
SELECT p.sale_id, 'purchase at record ' || p.lsn || ': its checkout is missing'
FROM purchases p
WHERE NOT EXISTS (SELECT FROM checkouts c WHERE c.sale_id = p.sale_id AND c.secret = p.secret)
UNION ALL
SELECT e.sale_id, 'checkout opened at record ' || c.lsn || ': both purchased and expired'
FROM expired_checkouts e
JOIN purchases p ON p.sale_id = e.sale_id AND p.secret = e.secret
JOIN checkouts c ON c.sale_id = e.sale_id AND c.secret = e.secret;
