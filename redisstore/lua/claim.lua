-- Claims a journal: remembers who brings its ops, unless a copy of it was claimed.
--
-- KEYS[1] meta   KEYS[2] journals:{P meta}
-- ARGV  1 epoch   2 the journal   3 generation   4 nonce
--       5 the generation of the oldest claim that is known; 1 where none is
--       6 … nonces of the claims that are known
-- Result: OK 1; TAKEN by a claim that is not known, or EPOCH: nothing is changed.
local LIFE = 2592000000 -- a claim is remembered for 30 days
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'EPOCH' end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local had = redis.call('HGET', KEYS[2], ARGV[2])
if had then
  local generation, nonce = string.match(had, '^(%d+) (%S+)')
  local known = not generation or tonumber(generation) < tonumber(ARGV[5])
  for i = 4, #ARGV do
    if i ~= 5 and ARGV[i] == nonce then known = true end
  end
  if not known then return 'TAKEN' end
else
  -- A new journal pays for forgetting those that are long gone.
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local at = tonumber(string.match(all[i + 1], '(%d+)$'))
    if not at or now - at > LIFE then redis.call('HDEL', KEYS[2], all[i]) end
  end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[2], LIFE)
return 'OK 1'
