-- held reports whether somebody other than who has asked for the structure of
-- the pool to be left alone for now, see hold.lua.
local function held(who)
  local by, till = string.match(redis.call('HGET', KEYS[1], 'hold') or '', '^(%S+) (%d+)$')
  return by and by ~= who and tonumber(till) > clock()
end
