-- Lays literals of a pool's definitions over them, before the definitions are
-- replaced: readers see no change. It belongs to no batch, as it may be
-- repeated.
--
-- KEYS[1] ctl:{K}   KEYS[2] state:{K}
-- ARGV  1 epoch   2 the structure revision that the literals were read at
--       then pairs of name in the state and literal
-- Result: OK, or ~ where epoch or structure is another.
local ctl = redis.call('HMGET', KEYS[1], 'epoch', 'srev', 'counted')
if (ctl[1] and ctl[1] ~= ARGV[1]) or (ctl[2] or '0') ~= ARGV[2] then return '~' end
if ctl[3] and redis.call('EXISTS', KEYS[2]) == 0 then return '~' end -- whose counts were lost: see back.lua
for i = 3, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 'OK'
