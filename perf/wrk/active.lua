-- GET /sales/active: those who look. Counting as in shared.lua.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "shared.lua")

only_looks = true
local asked
function begin()
   asked = wrk.format("GET", "/sales/active")
end

function request()
   return asked
end
