-- POST /checkout and then POST /purchase with the code that came back, on each connection's turn.
-- Counts the answers by status and code, so that one that the interface does not know stands out.
-- Arguments after "--": sale id, number of items, prefix of the user ids.
local threads = {}

function setup(thread)
   thread:set("thread_id", #threads)
   table.insert(threads, thread)
end

function init(args)
   sale, items, prefix = args[1] or "1", tonumber(args[2] or "10000"), args[3] or "buy"
   math.randomseed(thread_id + 1)
   counter, codes, seen = 0, {}, ""
   counts = {}
end

function request()
   local code = table.remove(codes)
   if code then
      return wrk.format("POST", "/purchase?code=" .. code)
   end
   counter = counter + 1
   local user = prefix .. thread_id .. "-" .. counter
   local item = "ITM-" .. sale .. "-" .. math.random(0, items - 1)
   return wrk.format("POST", "/checkout?user_id=" .. user .. "&id=" .. item)
end

function response(status, headers, body)
   local code = body:match('^{"code":"(CHK%-[^"]+)"')
   if code then
      table.insert(codes, code)
   end
   local name = status .. " " .. (body:match('"code":"([a-z_]+)"') or "ok")
   counts[name] = (counts[name] or 0) + 1
   seen = ""
   for key, count in pairs(counts) do
      seen = seen .. key .. "=" .. count .. ";"
   end
end

function done(summary, latency, requests)
   local totals = {}
   for _, thread in ipairs(threads) do
      for key, count in thread:get("seen"):gmatch("([^=;]+)=(%d+);") do
         totals[key] = (totals[key] or 0) + tonumber(count)
      end
   end
   for key, count in pairs(totals) do
      io.write(string.format("%10d  %s\n", count, key))
   end
   io.write(string.format("socket errors: connect %d read %d write %d timeout %d\n",
      summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout))
end
