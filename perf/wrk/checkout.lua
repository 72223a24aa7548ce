-- POST /checkout: every request a user of its own and an item at random, so that all are accepted.
-- Arguments after "--": sale id, number of items, prefix of the user ids.
local counter, thread_count = 0, 0

function setup(thread)
   thread:set("thread_id", thread_count)
   thread_count = thread_count + 1
end

function init(args)
   sale, items, prefix = args[1] or "1", tonumber(args[2] or "10000"), args[3] or "wrk"
   math.randomseed(thread_id + 1)
   wrk.method = "POST"
end

function request()
   counter = counter + 1
   local user = prefix .. thread_id .. "-" .. counter
   local item = "ITM-" .. sale .. "-" .. math.random(0, items - 1)
   return wrk.format(nil, "/checkout?user_id=" .. user .. "&id=" .. item)
end

function done(summary, latency, requests)
   io.write(string.format("non-2xx/3xx: %d, socket errors: connect %d read %d write %d timeout %d\n",
      summary.errors.status, summary.errors.connect, summary.errors.read,
      summary.errors.write, summary.errors.timeout))
end
