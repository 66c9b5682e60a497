-- One change of one provider's definition, place or existence. Needs prelude and
-- held.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- ARGV  1 add, put, delete or rename   2 id   3 new id (rename)
--       4 what the caller saw: absent, or the SHA-1 of the definition
--       5 the id that the op was given, where an alias led from it to id
--       6 the definition   7 carry: lay the literals over where the state has
--       none; set: they are the whole state   then pairs of field and literal
-- Result: held where it has to wait; ok; new where the pool had no provider before; same where everything is as wanted; ~ where the provider is not
-- as the caller saw it.
local FIELDS = {'usageCount', 'errorCount', 'refreshCount', 'lastUsed', 'lastErrorTime', 'lastErrorMessage', 'isHealthy',
  'lastHealthCheckTime', 'lastHealthCheckModel', 'needsRefresh', 'scheduledRecoveryTime', 'lastRefreshTime',
  '_lastSelectionSeq', 'decidedAt'}
local op, id, newid, expect, from = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], ARGV[FIRST + 3], ARGV[FIRST + 4]
local def = ARGV[FIRST + 5]

if held('') then return finish('held', '', '') end
local cur = redis.call('HGET', KEYS[3], id)
if expect == 'absent' then
  if cur then return finish('~', '', '') end
elseif not cur or redis.sha1hex(cur) ~= expect then
  return finish('~', '', '')
end
if from ~= '' and (redis.call('HEXISTS', KEYS[3], from) == 1 or alias(KEYS[3], from) ~= id) then
  return finish('~', '', '') -- the old id leads elsewhere by now
end
redis.call('HLEN', KEYS[2]) -- fails here, before anything is written, where that is no hash
if op == 'rename' and redis.call('HEXISTS', KEYS[3], newid) == 1 then return finish('~', '', '') end
local score = redis.call('ZSCORE', KEYS[4], id)
if not score then
  score = tonumber((redis.call('ZREVRANGE', KEYS[4], 0, 0, 'WITHSCORES'))[2] or '-1') + 1
end

local function names(of)
  local n = {}
  for i, f in ipairs(FIELDS) do n[i] = of .. ':' .. f end
  return n
end

if op == 'put' and cur == def and ARGV[FIRST + 6] == 'set' then
  local want, same = {}, true
  for i = FIRST + 7, #ARGV, 2 do want[ARGV[i]] = ARGV[i + 1] end
  for i, lit in ipairs(redis.call('HMGET', KEYS[2], unpack(names(id)))) do
    same = same and (lit or nil) == want[FIELDS[i]]
  end
  if same then return finish('same', '', '') end
end

local was = redis.call('EXISTS', KEYS[3])
local whole = op == 'put' and (not cur or ARGV[FIRST + 6] == 'set') -- nothing of the state before is left
local body = netstring(whole and 'set' or op) .. netstring(id) .. netstring(newid) .. netstring(#def <= 4096 and def or '')
if op == 'delete' then
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  if redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HDEL', KEYS[2], unpack(names(id)))
  else -- the last one: what makes the state a table goes too, and what was to be swept
    redis.call('UNLINK', KEYS[2], KEYS[4])
    redis.call('HDEL', KEYS[1], 'sweep', 'counted')
  end
elseif op == 'rename' then
  local old, new = names(id), names(newid)
  local lits = redis.call('HMGET', KEYS[2], unpack(old))
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('HDEL', KEYS[2], unpack(new))
  for i, lit in ipairs(lits) do
    if lit then redis.call('HSET', KEYS[2], new[i], lit) end
  end
  redis.call('HDEL', KEYS[3], id)
  redis.call('HSET', KEYS[3], newid, def)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZADD', KEYS[4], score, newid)
  redis.call('HDEL', KEYS[1], 'a:' .. newid)
  redis.call('HSET', KEYS[1], 'a:' .. id, string.format('%.0f', tonumber(NOW) + LIFE) .. ' ' .. newid)
else
  if not cur then
    redis.call('HDEL', KEYS[2], unpack(names(id)))
    redis.call('HDEL', KEYS[1], 'a:' .. id)
    redis.call('ZADD', KEYS[4], score, id)
  elseif ARGV[FIRST + 6] == 'set' then
    redis.call('HDEL', KEYS[2], unpack(names(id)))
  end
  redis.call('HSET', KEYS[3], id, def)
  for i = FIRST + 7, #ARGV, 2 do
    local name, lit = id .. ':' .. ARGV[i], ARGV[i + 1]
    -- What is there already may have been laid without being published.
    if redis.call('HSETNX', KEYS[2], name, lit) == 0 then lit = redis.call('HGET', KEYS[2], name) end
    body = body .. netstring(name) .. netstring(lit)
  end
end
return finish(was == 1 and 'ok' or 'new', 'provider', body, true)
