-- Ends writers of an instance whose acknowledged batches Redis has lost, and begins
-- two new ones in their place. From then on no batch of the old ones is executed,
-- however late a copy of it comes. Needs prelude; the writer is the first of the
-- new ones, and this is its first batch.
--
-- ARGV  1 the other new writer   then the old ones
-- Results: for each old one the last sequence that is here, or 0; then who made the
-- last change of the key, or -, and when that one was last here, in ms, or 0.
local ENDED = '9007199254740991' -- above any sequence
local results, n = {}, 0
for i = FIRST + 1, #ARGV do
  local last = redis.call('HGET', KEYS[1], 'w:' .. ARGV[i])
  n = n + 1
  results[n] = last and string.match(last, '^%d+') or '0'
end
local author = string.match(ctl[2] or '', '^%d+ (%S+)') or '-'
local seen = redis.call('HGET', KEYS[1], 'w:' .. author)
results[n + 1], results[n + 2] = author, seen and string.match(seen, '^%d+ (%d+)') or '0'
local answer = finish(table.concat(results, ','), '', '')
local now = string.format('%.0f', clock())
redis.call('HSET', KEYS[1], 'w:' .. ARGV[FIRST], '1 ' .. now .. ' 0;')
for i = FIRST + 1, #ARGV do redis.call('HSET', KEYS[1], 'w:' .. ARGV[i], ENDED .. ' ' .. now .. ' 0;') end
return answer
