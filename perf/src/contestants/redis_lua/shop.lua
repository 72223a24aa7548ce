#!lua name=flashsale_shop
-- Stock, limit per user and code, decided and stored in one call. Keys: the item's stock, the user's units, the
-- checkout, and for a purchase the list of orders.

local ACCEPTED, NOT_FOUND, OVER_LIMIT, SOLD_OUT = 0, 1, 2, 3
local SOLD, UNKNOWN, PROCESSED = 0, 1, 2

local function checkout(keys, args)
  local user, item, limit = args[1], args[2], tonumber(args[3])
  local left = redis.call('GET', keys[1])
  if not left then return NOT_FOUND end
  if tonumber(redis.call('GET', keys[2]) or 0) >= limit then return OVER_LIMIT end
  if left == '0' then return SOLD_OUT end
  redis.call('DECR', keys[1])
  redis.call('INCR', keys[2])
  redis.call('HSET', keys[3], 'user', user, 'item', item)
  return ACCEPTED
end

local function purchase(keys, args)
  local item, sold = unpack(redis.call('HMGET', keys[1], 'item', 'sold'))
  if not item then return { UNKNOWN, '' } end
  if sold then return { PROCESSED, item } end
  redis.call('HSET', keys[1], 'sold', '1')
  redis.call('RPUSH', keys[2], args[1])
  return { SOLD, item }
end

redis.register_function('checkout', checkout)
redis.register_function('purchase', purchase)
