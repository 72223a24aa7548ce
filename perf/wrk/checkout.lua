-- POST /checkout: every request a user of its own and an item at random, so that all are accepted.
-- Arguments and counting as in shared.lua.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "shared.lua")

function request()
   return checkout_by(new_user())
end
