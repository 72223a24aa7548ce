-- The two calls that change the projection, and one that sums up a part of it. Redis runs nothing else
-- meanwhile, but undoes nothing either: so everything is checked before the first write, and a mark
-- stands as long as it writes.
--
-- Every write sets a value and none adds to one: of a call that a crash has torn in its log Redis keeps
-- the beginning, and runs it at the next start before the call that we repeat.

-- Arguments that one command is given at most; Lua's stack bounds them.
local CHUNK = 2000

-- The types of the keys that are passed: three for all, then five for each sale.
local SHARED_TYPES = { 'hash', 'zset', 'stream' }
local SALE_TYPES = { 'hash', 'string', 'hash', 'hash', 'hash' }

local function is_of_type(key, wanted)
  local found = redis.call('TYPE', key).ok
  return found == 'none' or found == wanted
end

local function state_of(watermark)
  local found = redis.call('HMGET', watermark, 'lsn', 'fingerprint', 'rebuilding', 'writing', 'told')
  return { lsn = found[1] or '0', fingerprint = found[2] or '0', token = found[3] or '',
    writing = found[4], told = found[5] or '0' }
end

-- The number of the last event that the stream was ever given, as text.
local function last_event(stream)
  if redis.call('EXISTS', stream) == 1 then
    local info = redis.call('XINFO', 'STREAM', stream)
    for field = 1, #info, 2 do
      if info[field] == 'last-generated-id' then return info[field + 1]:match('%d+') end
    end
  end
  return '0'
end

-- A command that is needed and not allowed. Where Redis is too old to be asked there is none.
local function denied(watermark, sales, events, sale)
  if not redis.acl_check_cmd then return nil end
  local needed = {
    { 'HSET', watermark, 'lsn', '0' }, { 'HDEL', watermark, 'writing' }, { 'HGET', sale, 'units' },
    { 'HSET', sale, 'sold', '0' }, { 'HMGET', sale, 'sold' }, { 'UNLINK', sale },
    { 'BITFIELD', sale, 'SET', 'u1', '0', '1' }, { 'EXPIREAT', sale, '0' }, { 'EXISTS', sale },
    { 'ZADD', sales, '0', '0' }, { 'ZREM', sales, '0' }, { 'ZRANGEBYSCORE', sales, '0', '0' },
    { 'XADD', events, '1-0', 'type', '' }, { 'XTRIM', events, 'MAXLEN', '0' },
  }
  for _, command in ipairs(needed) do
    -- One that was renamed is not known at all.
    local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
    if not (known and allowed) then return command[1] end
  end
end

-- Calls `command key` with many arguments, in pieces. `width` of them belong together.
local function call_with_many(command, key, arguments, width)
  local step = CHUNK - CHUNK % width
  for start = 1, #arguments, step do
    local stop = math.min(start + step - 1, #arguments)
    redis.call(command, key, unpack(arguments, start, stop))
  end
end

-- A whole number as text; as it is, Lua and Redis write some with an exponent.
local function digits(number) return string.format('%.0f', number) end

-- Adds `amounts` to the `fields` of a hash: reads them, and sets what they are then.
local function add_to_fields(key, fields, amounts)
  local written = {}
  for start = 1, #fields, CHUNK do
    local stop = math.min(start + CHUNK - 1, #fields)
    local found = redis.call('HMGET', key, unpack(fields, start, stop))
    for place = start, stop do
      local value = tonumber(found[place - start + 1] or 0) + amounts[place]
      written[#written + 1], written[#written + 2] = fields[place], digits(value)
    end
  end
  call_with_many('HSET', key, written, 2)
end

-- The field of the watermark with the units that were sold of a sale. It changes with the record that the
-- watermark is at, in one command, so that it tells whether the keys of the sale belong to that record.
local function sum_of(sale) return 'sold:' .. sale.id end

-- Reads the arguments one after the other.
local function reader(arguments, position)
  local read = {}
  function read.text()
    position = position + 1
    return arguments[position]
  end
  function read.number() return tonumber(read.text()) end
  -- Skips a list of `width` arguments an entry; where it begins and how many entries it has.
  function read.list(width)
    local list = { count = read.number(), start = position + 1 }
    position = position + list.count * width
    return list
  end
  return read
end

local function read_sale(read, keys, offset)
  local sale = { id = read.text(), kind = read.text(), terms = keys[offset + 1],
    sold_items = keys[offset + 2], remaining = keys[offset + 3], items = keys[offset + 4],
    bought = keys[offset + 5] }
  sale.listed = sale.kind == 'listed'
  sale.first = read.text()
  sale.announced_units = read.text()
  sale.announced = read.list(3)
  sale.item_count = read.text()
  if sale.item_count ~= '' then
    sale.total, sale.started_at, sale.ended_at = read.text(), read.text(), read.text()
    sale.max_items_per_user = read.text()
  end
  sale.sold, sale.gone = read.number(), read.number()
  sale.lines = read.list(2)
  sale.sells = sale.lines.count > 0 or sale.sold ~= 0
  sale.stocks = read.list(2)
  sale.users = read.list(2)
  sale.new_state, sale.new_end = read.text(), read.text()
  sale.expires_at = read.text()
  return sale
end

-- Whether something is missing that earlier calls have written.
local function is_lost(sale, arguments, watermark)
  local items = redis.call('HLEN', sale.items) - 1
  if sale.first ~= '' then
    local first = tonumber(sale.first)
    if first > 0 and items ~= first then return true end
    items = first + sale.announced.count
  end
  if sale.item_count ~= '' then
    return sale.listed and items ~= tonumber(sale.item_count)
  end
  local is_changed = sale.new_state ~= '' or sale.new_end ~= '' or sale.stocks.count > 0
  if not sale.sells and not is_changed and sale.expires_at == '' then return false end
  local found = redis.call('HMGET', sale.terms, 'sold', 'kind')
  if not found[1] or found[2] ~= sale.kind then return true end
  if found[1] ~= redis.call('HGET', watermark, sum_of(sale)) then return true end
  local some_sold = tonumber(found[1]) > 0
  local counted = sale.listed and sale.remaining or sale.sold_items
  if some_sold or sale.listed then
    if redis.call('EXISTS', counted) == 0 then return true end
  end
  for _, named in ipairs({ sale.lines, sale.stocks }) do
    for line = 0, named.count - 1 do
      if arguments[named.start + 2 * line] == '' then return true end
    end
  end
  return some_sold and redis.call('EXISTS', sale.bought) == 0
end

-- The sales whose items have come, but not yet the sales: several may be on their way at a time.
local function announced_sales(watermark)
  return (redis.call('HGET', watermark, 'announced') or ''):gmatch('%d+')
end

-- Writes down whether this sale is one of them.
local function note_announced(watermark, sale, is_announced)
  local ids = {}
  for id in announced_sales(watermark) do
    if id ~= sale.id then ids[#ids + 1] = id end
  end
  if is_announced then ids[#ids + 1] = sale.id end
  if #ids > 0 then
    redis.call('HSET', watermark, 'announced', table.concat(ids, ' '))
  else
    redis.call('HDEL', watermark, 'announced')
  end
end

local function announce(sale, arguments, watermark)
  if sale.first == '0' then
    redis.call('UNLINK', sale.items, sale.remaining)
  end
  local ids, stocks = {}, {}
  for entry = 0, sale.announced.count - 1 do
    local at = sale.announced.start + 3 * entry
    ids[#ids + 1], ids[#ids + 2] = arguments[at], arguments[at + 1]
    stocks[#stocks + 1], stocks[#stocks + 2] = arguments[at + 1], arguments[at + 2]
  end
  call_with_many('HSET', sale.items, ids, 2)
  call_with_many('HSET', sale.remaining, stocks, 2)
  local units = sale.first ~= '0' and redis.call('HGET', sale.items, 'units') or 0
  redis.call('HSET', sale.items, 'units', digits(units + sale.announced_units))
  note_announced(watermark, sale, true)
end

local function create(sale, watermark, sales)
  redis.call('UNLINK', sale.terms, sale.sold_items, sale.bought)
  if sale.listed then
    sale.total = redis.call('HGET', sale.items, 'units')
  else
    redis.call('UNLINK', sale.items, sale.remaining)
  end
  redis.call('HSET', sale.terms, 'kind', sale.kind, 'state', 'open', 'started_at', sale.started_at,
    'ended_at', sale.ended_at, 'max_items_per_user', sale.max_items_per_user,
    'total', sale.total, 'sold', 0, 'remaining', sale.total)
  redis.call('ZADD', sales, '+inf', sale.id)
  note_announced(watermark, sale, false)
end

local function restock(sale, arguments)
  local items, added, all = {}, {}, 0
  for place = 0, sale.stocks.count - 1 do
    local at = sale.stocks.start + 2 * place
    items[#items + 1], added[#added + 1] = arguments[at], tonumber(arguments[at + 1])
    all = all + added[#added]
  end
  all = all - sale.gone
  add_to_fields(sale.terms, { 'total', 'remaining' }, { all, all })
  add_to_fields(sale.remaining, items, added)
  -- Their bits stay: nobody can have them.
  if not sale.listed and sale.gone > 0 then add_to_fields(sale.terms, { 'withdrawn' }, { sale.gone }) end
end

local function sell(sale, arguments)
  add_to_fields(sale.terms, { 'sold', 'remaining' }, { sale.sold, -sale.sold })
  local items, taken, bits = {}, {}, {}
  for line = 0, sale.lines.count - 1 do
    local at = sale.lines.start + 2 * line
    if sale.listed then
      items[#items + 1], taken[#taken + 1] = arguments[at], -arguments[at + 1]
    else
      local last = #bits
      bits[last + 1], bits[last + 2], bits[last + 3], bits[last + 4] = 'SET', 'u1', arguments[at], arguments[at + 1]
    end
  end
  add_to_fields(sale.remaining, items, taken)
  call_with_many('BITFIELD', sale.sold_items, bits, 4)
  local users, units = {}, {}
  for user = 0, sale.users.count - 1 do
    local at = sale.users.start + 2 * user
    users[#users + 1], units[#units + 1] = arguments[at], arguments[at + 1]
  end
  add_to_fields(sale.bought, users, units)
end

local function change(sale)
  if sale.new_state ~= '' then redis.call('HSET', sale.terms, 'state', sale.new_state) end
  if sale.new_end ~= '' then redis.call('HSET', sale.terms, 'ended_at', sale.new_end) end
end

local function close(sale, sales)
  redis.call('HSET', sale.terms, 'state', 'closed')
  redis.call('ZADD', sales, sale.expires_at, sale.id)
  for _, key in ipairs({ sale.terms, sale.sold_items, sale.remaining, sale.items, sale.bought }) do
    redis.call('EXPIREAT', key, sale.expires_at)
  end
end

-- Takes sales whose keys have expired off the list, the oldest first.
local function forget_expired(watermark, sales, prefix, at_most)
  local closed = redis.call('ZRANGEBYSCORE', sales, '-inf', '(+inf', 'LIMIT', 0, at_most)
  for _, id in ipairs(closed) do
    if redis.call('EXISTS', prefix .. id) == 1 then return end
    redis.call('ZREM', sales, id)
    redis.call('HDEL', watermark, sum_of({ id = id }))
  end
end

-- Every event has the number of its record, so that none can be there twice. `last` was there before.
local function add_events(stream, events, arguments, at_least, last)
  for event = 0, events.count - 1 do
    local at = events.start + 8 * event
    local lsn, kind, sale, time, user, code, items, restock = unpack(arguments, at, at + 7)
    if tonumber(lsn) > last then
      if user == '' and code ~= '' then
        redis.call('XADD', stream, lsn .. '-0', 'type', kind, 'sale', sale, 'at', time,
          'item', code, 'added', items)
      elseif user == '' and items ~= '' then
        redis.call('XADD', stream, lsn .. '-0', 'type', kind, 'sale', sale, 'at', time,
          'ended_at', items)
      elseif user == '' then
        redis.call('XADD', stream, lsn .. '-0', 'type', kind, 'sale', sale, 'at', time)
      elseif restock ~= '' then
        redis.call('XADD', stream, lsn .. '-0', 'type', kind, 'sale', sale, 'at', time,
          'user', user, 'code', code, 'items', items, 'restock', restock)
      else
        redis.call('XADD', stream, lsn .. '-0', 'type', kind, 'sale', sale, 'at', time,
          'user', user, 'code', code, 'items', items)
      end
    end
  end
  redis.call('XTRIM', stream, 'MAXLEN', '~', at_least)
end

-- KEYS: watermark, sales, events, then for each sale its five.
-- ARGV: the watermark that is expected (lsn, fingerprint, token) and the one to come, how many
-- events are kept at least, the number of sales with what becomes of each, and the events.
local function apply(KEYS, ARGV)
  local watermark, sales, events = KEYS[1], KEYS[2], KEYS[3]
  for place, key in ipairs(KEYS) do
    local wanted = SHARED_TYPES[place] or SALE_TYPES[(place - 4) % 5 + 1]
    if not is_of_type(key, wanted) then return { 'wrong', key, wanted } end
  end
  local found = state_of(watermark)
  if found.writing or found.lsn ~= ARGV[1] or found.fingerprint ~= ARGV[2]
    or found.token ~= ARGV[3] then
    return { 'moved' }
  end
  local read = reader(ARGV, 8)
  local changed = {}
  for place = 1, tonumber(ARGV[8]) do
    changed[place] = read_sale(read, KEYS, 3 + 5 * (place - 1))
  end
  local added = read.list(8)
  local last = added.count > 0 and tonumber(last_event(events)) or 0
  -- What somebody else has added would be taken for events that have been told.
  if last > math.max(tonumber(found.lsn), tonumber(found.told)) then return { 'ahead', events } end
  local command = denied(watermark, sales, events, changed[1] and changed[1].terms or sales)
  if command then return { 'denied', command } end
  for _, sale in ipairs(changed) do
    if is_lost(sale, ARGV, watermark) then
      redis.call('HSET', watermark, 'writing', 'lost')
      return { 'lost', sale.terms }
    end
  end

  redis.call('HSET', watermark, 'writing', ARGV[4])
  local position = { 'lsn', ARGV[4], 'fingerprint', ARGV[5] }
  for _, sale in ipairs(changed) do
    if sale.first ~= '' then announce(sale, ARGV, watermark) end
    if sale.item_count ~= '' then
      create(sale, watermark, sales)
      local prefix = sale.terms:sub(1, #sale.terms - #sale.id)
      forget_expired(watermark, sales, prefix, 16 + #changed)
    end
    if sale.stocks.count > 0 or sale.gone > 0 then restock(sale, ARGV) end
    if sale.sells then sell(sale, ARGV) end
    change(sale)
    if sale.expires_at ~= '' then close(sale, sales) end
    if sale.item_count ~= '' or sale.sold ~= 0 then
      local sold = sale.item_count == '' and redis.call('HGET', watermark, sum_of(sale)) or 0
      position[#position + 1], position[#position + 2] = sum_of(sale), digits(sold + sale.sold)
    end
  end
  if added.count > 0 then add_events(events, added, ARGV, ARGV[7], last) end
  redis.call('HSET', watermark, unpack(position))
  if ARGV[6] == '' then redis.call('HDEL', watermark, 'rebuilding') end
  redis.call('HDEL', watermark, 'writing')
  return { 'ok' }
end

-- KEYS: watermark, sales, events. ARGV: the token of whoever empties the projection, whether they
-- begin, whether a person wants it whatever is there (then the events go, too), how many sales to
-- remove at most, and what the keys of a sale begin with.
local function empty(KEYS, ARGV)
  local watermark, sales, events = KEYS[1], KEYS[2], KEYS[3]
  local token, begins, forced = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
  local removed = 0
  local function remove(id)
    local key = ARGV[5] .. id
    removed = removed + redis.call('UNLINK', key, key .. ':sold_items', key .. ':remaining',
      key .. ':items', key .. ':bought')
  end
  if begins then
    local command = denied(watermark, sales, events, ARGV[5] .. '0')
    if command then return { 'denied', command } end
    for place, key in ipairs(KEYS) do
      if not is_of_type(key, SHARED_TYPES[place]) then
        if not forced then return { 'wrong', key, SHARED_TYPES[place] } end
        redis.call('UNLINK', key)
      end
    end
    for id in announced_sales(watermark) do remove(id) end
    removed = removed + redis.call('UNLINK', watermark)
    if forced then removed = removed + redis.call('UNLINK', events) end
    redis.call('HSET', watermark, 'lsn', 0, 'fingerprint', 0, 'rebuilding', token,
      'told', last_event(events))
  elseif state_of(watermark).token ~= token then
    return { 'moved' }
  end
  local ids = redis.call('ZRANGE', sales, 0, tonumber(ARGV[4]) - 1)
  for _, id in ipairs(ids) do remove(id) end
  if #ids > 0 then redis.call('ZREM', sales, unpack(ids)) end
  return { 'ok', removed, redis.call('ZCARD', sales) }
end

-- Sums up the values of a part of each of some hashes. KEYS: the hashes. ARGV: how many fields at about,
-- and for each hash where to go on. The answer: for each hash where to go on, '0' at its end, and the sum.
local function sum(KEYS, ARGV)
  local answer = { 'ok' }
  for place, key in ipairs(KEYS) do
    local next, found = unpack(redis.call('HSCAN', key, ARGV[place + 1], 'COUNT', ARGV[1]))
    local total = 0
    for value = 2, #found, 2 do total = total + (tonumber(found[value]) or 0) end
    answer[#answer + 1], answer[#answer + 2] = next, digits(total)
  end
  return answer
end
