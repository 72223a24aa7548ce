-- POST /checkout and then POST /purchase with the code that came back, on each connection's turn.
-- Always counts the answers. Arguments as in shared.lua.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "shared.lua")

local codes = {}

function request()
   local code = table.remove(codes)
   if code then
      return wrk.format("POST", "/purchase?code=" .. code)
   end
   return checkout_by(new_user())
end

function response(status, _, body)
   local code = body:match('^{"code":"(CHK%-[^"]+)"')
   if code then
      table.insert(codes, code)
   end
   count(status, body)
end
