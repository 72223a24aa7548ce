-- POST /checkout of items that are gone: what almost everybody hears in a sale. First let buy.lua buy the whole of
-- a small sale, with the same arguments: where items are left, this script says so and ends with exit code 1.
-- Arguments and counting as in shared.lua.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "checkout.lua")

local report = done
function done(summary, latency, requests)
   report(summary, latency, requests)
   local accepted = summary.requests - summary.errors.status
   if accepted > 0 then
      io.stdout:flush()
      io.stderr:write(string.format("sold_out.lua: %d of %d checkouts were not refused, so the sale is not sold out: "
         .. "let buy.lua buy it up first, with the same arguments\n", accepted, summary.requests))
      os.exit(1)
   end
end
