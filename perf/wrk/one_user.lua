-- POST /checkout by one user on all connections: the limit, and everybody at one lock. Arguments
-- and counting as in shared.lua.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "shared.lua")

function request()
   return checkout_by(prefix)
end
