-- What the scripts share: numbers for the threads, the sale that is asked for, and the report.
-- With COUNT=1 in the environment the answers are counted by status and error, so that one that the
-- interface does not know stands out; wrk itself is slower then.
local threads, counts = {}, {}
seen = ""

function setup(thread)
   thread:set("thread_id", #threads)
   table.insert(threads, thread)
end

-- Arguments after "--": sale id, number of items, prefix of the user ids.
function init(args)
   sale, items, prefix = args[1] or "1", tonumber(args[2] or "10000"), args[3] or "wrk"
   math.randomseed(thread_id + 1)
   if begin then begin() end
   if thread_id == 0 and not only_looks then check_sale() end
end

-- Ends the run where the sale is not there or not one of generated items, the only ones that these scripts can
-- name: all answers would be "not found". wrk itself cannot ask before it begins; where there is no curl, nobody does.
function check_sale()
   local host = wrk.host:find(":", 1, true) and "[" .. wrk.host .. "]" or wrk.host
   local port = wrk.port and ":" .. wrk.port or ""
   local url = wrk.scheme .. "://" .. host .. port .. "/sales/" .. sale .. "/items?limit=1"
   local pipe = io.popen("curl --silent --insecure --max-time 10 --globoff --write-out ' %{http_code}' '"
      .. url:gsub("'", "") .. "' 2>/dev/null")
   local said = pipe:read("*a")
   pipe:close()
   local body, status = said:match("^(.*) (%d+)$")
   if not body or status == "000" or body:find('"id":"ITM-' .. sale .. '-0"', 1, true) then return end
   local why = status == "200" and "has items of its own, not generated ones (ITM-" .. sale .. "-0 and so on)"
      or "is not there (" .. status .. ")"
   io.stderr:write("sale " .. sale .. " " .. why .. ": name one that was created with total_items behind \"--\"\n")
   os.exit(1)
end

-- A checkout of an item at random.
function checkout_by(user)
   local item = "ITM-" .. sale .. "-" .. math.random(0, items - 1)
   return wrk.format("POST", "/checkout?user_id=" .. user .. "&id=" .. item)
end

local users = 0
function new_user()
   users = users + 1
   return prefix .. thread_id .. "-" .. users
end

-- What an answer says, in the words of the interface.
local function outcome(body)
   return body:match('"error":"([a-z_]+)"') or body:match('^{"code":"CHK%-') and "accepted"
      or body:match('^{"success":true') and "sold" or "ok"
end

function count(status, body)
   local name = status .. " " .. outcome(body)
   counts[name] = (counts[name] or 0) + 1
   seen = ""
   for key, number in pairs(counts) do
      seen = seen .. key .. "=" .. number .. ";"
   end
end

if os.getenv("COUNT") then
   response = function(status, _, body) count(status, body) end
end

function done(summary)
   local totals = {}
   for _, thread in ipairs(threads) do
      for key, number in thread:get("seen"):gmatch("([^=;]+)=(%d+);") do
         totals[key] = (totals[key] or 0) + tonumber(number)
      end
   end
   for key, number in pairs(totals) do
      io.write(string.format("%10d  %s\n", number, key))
   end
   local errors = summary.errors
   io.write(string.format("non-2xx/3xx: %d, socket errors: connect %d read %d write %d timeout %d\n",
      errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
