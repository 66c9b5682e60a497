-- Ends writers of an instance whose acknowledged batches Redis has lost, and begins
-- two new ones in their place. From then on no batch of the old ones is executed,
-- however late a copy of it comes. Needs prelude; the writer is the first of the
-- new ones, and this is its first batch. The revision goes on above all that the
-- instance has seen, so that no copy of the key counts as newer than what is here.
--
-- KEYS[2] K
-- ARGV  1 the other new writer   2 the number of the last revision that was seen
--       3 what to publish: pool, value or types   4 what the caller saw in upto, or 0
--       (back.lua)   then pairs of an old writer and the last sequence that came back so
-- Results: for each old one the last sequence that is here, or 0. AGAIN where the key
-- was put back meanwhile.
local seen, kind = ARGV[FIRST + 1], ARGV[FIRST + 2]
if (ctl[7] or '0') ~= ARGV[FIRST + 3] then return 'AGAIN' end
local results, n = {}, 0
for i = FIRST + 4, #ARGV, 2 do
  n = n + 1
  results[n] = string.format('%.0f', math.max(last(ARGV[i]), tonumber(ARGV[i + 1])))
end
if tonumber(string.match(ctl[2] or '0', '^%d+')) < tonumber(seen) then ctl[2] = seen .. ' ' .. WRITER .. ' 0' end
local answer = finish(table.concat(results, ','), kind, '', kind == 'pool')
local now = string.format('%.0f', clock())
redis.call('HSET', KEYS[1], 'w:' .. ARGV[FIRST], '1 ' .. now .. ' 0;')
for i = 1, n do redis.call('HSET', KEYS[1], 'w:' .. ARGV[FIRST + 2 + 2 * i], ENDED .. ' ' .. now .. ' 0;' .. results[i]) end
-- What is remembered of a value outlives it, but not for ever.
local expiry = redis.call('HGET', KEYS[1], 'expiry')
if expiry or redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'dead', '1')
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(tonumber(expiry or '0'), clock()) + LIFE))
end
return answer
