-- Asks for the structure of a pool to be left alone for a while, or lets go of
-- it. Runtime state goes on changing. It belongs to no batch, as it may be
-- repeated; and nothing depends on it but who has to wait: whoever swaps a pool
-- compares its structure all the same.
--
-- KEYS[1] ctl:{K}
-- ARGV  1 epoch   2 who asks   3 for how many ms, or 0 to let go
-- Result: OK, or HELD where somebody else has asked before.
local ctl = redis.call('HMGET', KEYS[1], 'epoch', 'hold')
if ctl[1] ~= ARGV[1] then return 'OK' end -- nobody has written here yet
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local by, till = string.match(ctl[2] or '', '^(%S+) (%d+)$')
if ARGV[3] == '0' then
  if by == ARGV[2] then redis.call('HDEL', KEYS[1], 'hold') end
  return 'OK'
end
if by and by ~= ARGV[2] and tonumber(till) > now then return 'HELD' end
redis.call('HSET', KEYS[1], 'hold', ARGV[2] .. ' ' .. string.format('%.0f', now + ARGV[3]))
return 'OK'
