-- Reads one provider, under an old id too, at one moment. It changes nothing.
--
-- KEYS[1] ctl:{K}   KEYS[2] state:{K}   KEYS[3] K
-- ARGV  1 id   2 now, in ms   3 an id to be looked for besides, or ''
--       4... the names of the fields of the state that are wanted
-- Answers with {revision, structure revision, whether the other id is there,
-- whether the pool has any provider, id, definition, the literals}; the last
-- three are missing where there is no such provider, and a literal is false
-- where the state lacks it.
local id = ARGV[1]
local def = redis.call('HGET', KEYS[3], id)
while not def do
  local till, to = string.match(redis.call('HGET', KEYS[1], 'a:' .. id) or '', '^(%d+) (.*)$')
  if not till or tonumber(till) <= tonumber(ARGV[2]) then break end
  id = to
  def = redis.call('HGET', KEYS[3], id)
end
local ctl = redis.call('HMGET', KEYS[1], 'rev', 'srev')
local other = ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[3], ARGV[3]) or 0
local answer = {ctl[1] or '0', ctl[2] or '0', other, redis.call('EXISTS', KEYS[3])}
if def then
  answer[5], answer[6] = id, def
  local names = {}
  for i = 4, #ARGV do names[i - 3] = id .. ':' .. ARGV[i] end
  if #names > 0 then answer[7] = redis.call('HMGET', KEYS[2], unpack(names)) end
end
return answer
